"""The photos that everything is measured on."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2

from liftwild.media.photo import find_photos
from liftwild.synthetic.render.generate import render_people

EXAMPLE = Path(__file__).parents[1] / "examples" / "person.jpg"
RENDERED, SIZE, QUALITY = 7, 512, 92


def photos_for_all(given: Path | None, folder: Path) -> list[Path]:
    """The photos in ``given``; without it examples/person.jpg and seven rendered people of 512 px, in ``folder``."""
    if given is not None:
        return find_photos([given])
    paths = [folder / EXAMPLE.name]
    shutil.copyfile(EXAMPLE, paths[0])
    for number, rendered in enumerate(render_people("wild", RENDERED, seed=3, split="test", size=SIZE)):
        paths.append(folder / f"rendered-{number}.jpg")
        picture = cv2.cvtColor(rendered.sample.image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(paths[-1]), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return paths
