"""Damage: what a file may look like after a bad disk, a cut download, or somebody with ill will."""

from __future__ import annotations

import io
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

NUMBERS = (
    0, -1, 1, 2, 255, 65536, 2**31 - 1, 2**31, -(2**31), 2**53 + 1, 2**63, 10**30, 10**400, 0.5, -0.0, 1e-320, 1e19,
    1e308, -1e308, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
TEXTS = (
    "", " ", "a" * 5000, "../../x", "/etc/hostname", "\x1b[2J\x1b]52;c;eA==\x07", "a\nerror: forged", "\0", "\ud800",
    "\u202egpj.exe", "NaN", "1e999", "true", "\\input{x}", "=1+1", "%s%n", "C:\\x", "x" * 300 + ".jpg", "\udcff\udcfe",
)  # fmt: skip
NAMES = (
    "\x1b[2J", "a\nerror: forged", " ", "-rf", "--help", "%d", "%05d", "\u202etxt", "\udcff\udcfe", "a" * 200, "..",
    "$(x)", "'\"", "http:x", "tcp:127.0.0.1:9?", "*?[a]", "ä\u0308", "\U0001f600", "~", "nul", "x.overlay", "x.coco",
)  # fmt: skip
MAX_BYTES = 300_000  # of a damaged file


def damaged(data: bytes, form: str, rng: random.Random) -> bytes:
    """``data`` with one to three faults; ``form``: json, toml, words, png, zip, safetensors, or "" for bytes alone."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        ways = [_damaged_bytes] if rng.random() < 0.3 else [BY_FORM.get(form, _damaged_bytes)]
        data = rng.choice(ways)(data, rng)[:MAX_BYTES]
    return data


def hostile_name(suffix: str, rng: random.Random) -> str:
    """The name of a file that tries to act."""
    return rng.choice(NAMES) + suffix


def _damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return rng.randbytes(rng.randint(1, 64))
    content, at = bytearray(data), rng.randrange(len(data))
    end = min(len(data), at + rng.choice((1, 4, 16, 256, 4096)))
    match rng.randrange(9):
        case 0:
            for _ in range(rng.choice((1, 1, 4, 32))):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        case 1:
            content[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        case 2:
            del content[at:]
        case 3:
            del content[at:end]
        case 4:
            content[at:at] = content[at:end] * rng.choice((1, 2, 50))
        case 5:
            other = rng.randrange(len(content))
            content[at:end] = content[other : other + end - at]
        case 6:
            size = rng.choice((2, 4, 8))
            value = rng.choice((0, 1, -1, 2 ** (8 * size - 1) - 1, -(2 ** (8 * size - 1)), 65536 % 2**15))
            content[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")), signed=True)
        case 7:
            content[at:end] = rng.randbytes(end - at)
        case _:
            content[at:end] = bytes(end - at)
    return bytes(content)


def _hostile(rng: random.Random, old: Any = None) -> Any:
    """A value that does not belong."""
    deep: Any = []
    for _ in range(rng.choice((3, 200, 3000))):
        deep = [deep]
    if isinstance(old, int | float) and not isinstance(old, bool) and rng.random() < 0.7:
        return rng.choice((*NUMBERS, -old, old * 1000, old + 1))
    if isinstance(old, str) and rng.random() < 0.7:
        return rng.choice(TEXTS)
    return rng.choice((None, True, {}, [], [[]], {"": None}, deep, rng.choice(NUMBERS), rng.choice(TEXTS), [1] * 1000))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a document, as (container, key)."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _places(inner)


def _damaged_json(data: bytes, rng: random.Random) -> bytes:
    try:
        document = json.loads(data)
        places = list(_places(document))
    except (ValueError, RecursionError):
        return _damaged_bytes(data, rng)
    if not places or rng.random() < 0.03:
        return _dumped(_hostile(rng))
    # Keys and short lists first: most places of a big file are numbers of one list.
    container, key = rng.choice([place for place in places if isinstance(place[0], dict)] or places)
    if rng.random() < 0.3:
        container, key = rng.choice(places)
    old = container[key]
    match rng.randrange(6):
        case 0:
            del container[key]
        case 1 if isinstance(container, dict):
            container[rng.choice(TEXTS)] = container.pop(key)
        case 1 | 2 if isinstance(old, list):
            container[key] = rng.choice((old * 2, old[:-1], old[:1], [old], [*old, _hostile(rng)]))
        case _:
            container[key] = _hostile(rng, old)
    return _dumped(document)


def _dumped(document: Any) -> bytes:
    """JSON, as deep and with numbers as long as it comes."""
    if isinstance(document, dict):
        inner = b",".join(json.dumps(str(key)).encode() + b":" + _dumped(value) for key, value in document.items())
        return b"{" + inner + b"}"
    if isinstance(document, list):
        depth = 0
        while isinstance(document, list) and len(document) == 1:  # thousands deep
            document, depth = document[0], depth + 1
        inner = b",".join(map(_dumped, document)) if isinstance(document, list) else _dumped(document)
        return b"[" * depth + (b"[" + inner + b"]" if isinstance(document, list) else inner) + b"]" * depth
    return json.dumps(document).encode()


def _damaged_toml(data: bytes, rng: random.Random) -> bytes:
    lines = data.decode("utf-8", "replace").splitlines()
    at = rng.randrange(len(lines)) if lines else 0
    if not lines:
        return _damaged_bytes(data, rng)
    if rng.random() < 0.15:
        lines[at:at] = [rng.choice(lines)]
    elif rng.random() < 0.1:
        del lines[at]
    else:
        values = [row for row, line in enumerate(lines) if "=" in line]
        at = rng.choice(values) if values else at
        key = lines[at].partition("=")[0]
        value = _dumped(_hostile(rng, rng.choice((1, "", None)))).decode()
        value = {"null": "1979-05-27", "NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.get(value, value)
        lines[at] = f"{key}= {value}"
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _damaged_words(data: bytes, rng: random.Random) -> bytes:
    """Of a text of words and numbers: one of them is another, gone or there twice."""
    words = re.split(rb"(\s+|,)", data)
    places = [at for at, word in enumerate(words) if word.strip(b" \r\n\t,")]
    if not places:
        return _damaged_bytes(data, rng)
    at = rng.choice(places)
    numbers = [place for place in places if re.fullmatch(rb"[-+.\deE]+", words[place])]
    if numbers and rng.random() < 0.6:
        at = rng.choice(numbers)
    other = [str(rng.choice(NUMBERS)).encode(), rng.choice(TEXTS).encode("utf-8", "surrogatepass"), b"", words[at] * 2]
    words[at] = rng.choice((*other, words[rng.choice(places)]))
    return b"".join(words)


def _damaged_png(data: bytes, rng: random.Random) -> bytes:
    """Of a PNG file: damage inside of a chunk, whose checksum is right again."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += size + 12
    if not chunks:
        return _damaged_bytes(data, rng)
    which = rng.randrange(len(chunks))
    kind, content = chunks[which]
    chunks[which] = (kind, _damaged_bytes(content, rng))
    parts = (struct.pack(">I", len(inside)) + name + inside for name, inside in chunks)
    return data[:8] + b"".join(part + struct.pack(">I", zlib.crc32(part[4:])) for part in parts)


def _damaged_zip(data: bytes, rng: random.Random) -> bytes:
    """Of a zip archive, as .npz is: damage inside of a file, whose checksum is right again."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    except Exception:
        return _damaged_bytes(data, rng)
    if not files:
        return _damaged_bytes(data, rng)
    name = rng.choice(list(files))
    content = files[name]
    head = content[:128]  # of .npy: its type and shape
    files[name] = _damaged_bytes(head, rng) + content[128:] if rng.random() < 0.5 else _damaged_bytes(content, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for key, value in files.items():
            archive.writestr(key, value)
    return out.getvalue()


def _damaged_safetensors(data: bytes, rng: random.Random) -> bytes:
    """Of a safetensors file: damage to the JSON at its head."""
    size = int.from_bytes(data[:8], "little")
    head = _damaged_json(data[8 : 8 + size], rng)
    return len(head).to_bytes(8, "little") + head + data[8 + size :]


BY_FORM: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "json": _damaged_json, "toml": _damaged_toml, "words": _damaged_words, "png": _damaged_png, "zip": _damaged_zip,
    "safetensors": _damaged_safetensors,
}  # fmt: skip
