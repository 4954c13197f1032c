"""The process that decodes photos: whatever a file does to it, no other request sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from liftwild.app.child import Answer, Parent, serve
from liftwild.app.messages import Message
from liftwild.errors import LiftwildError
from liftwild.media.image_header import read_header
from liftwild.media.photo import ENOUGH_PX, LoadedPhoto, load_photo


def decode(message: Message) -> Answer:
    """The pixels of a photo (``content``) go into the file ``pixels``; its shape, damage and EXIF block come back."""
    photo = limited_photo(
        message.content, int(message.fields["max_pixels"]), int(message.fields["least_px"]) or ENOUGH_PX
    )
    with Path(message.fields["pixels"]).open("r+b") as file:  # there unless the client has gone
        file.write(np.ascontiguousarray(photo.image).data)
    return {"shape": photo.image.shape, "damage": photo.damage, "divisor": photo.divisor}, photo.exif


def limited_photo(content: bytes, most_pixels: int, least_px: int | None = None) -> LoadedPhoto:
    """``load_photo`` of an image file's bytes; LiftwildError if it has more than ``most_pixels``."""
    header = read_header(content)
    if header.width * header.height > most_pixels:
        raise LiftwildError(
            f"photo: has {header.width} x {header.height} px; this server takes up to {most_pixels / 1e6:.0f} million: "
            "make it smaller"
        )
    return load_photo(content, least_px)


if __name__ == "__main__":
    serve(Parent(), decode, "photo")
