"""What the server and its processes send each other: a JSON object and bytes. Nothing is unpickled: a process that
decodes foreign files may have been taken over by one."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO, NamedTuple

LENGTHS = struct.Struct(">II")  # bytes of the JSON, bytes after it
MAX_FIELDS_BYTES = 1 << 24


class Message(NamedTuple):
    """``fields``: whatever JSON holds; ``content``: bytes beside it."""

    fields: dict[str, Any]
    content: bytes = b""

    def pieces(self) -> tuple[bytes, bytes]:
        """What is sent, one after the other."""
        fields = json.dumps(self.fields).encode()
        return LENGTHS.pack(len(fields), len(self.content)) + fields, self.content


def read_message(stream: BinaryIO) -> Message | None:
    """The next message; None where the other side has ended."""
    head = stream.read(LENGTHS.size)
    if len(head) < LENGTHS.size:
        return None
    length, more = LENGTHS.unpack(head)
    fields, content = stream.read(length), stream.read(more)
    if len(fields) < length or len(content) < more:
        return None
    return Message(json.loads(fields), content)


def write_message(stream: BinaryIO, message: Message) -> None:
    """Send it whole."""
    for piece in message.pieces():
        stream.write(piece)
    stream.flush()
