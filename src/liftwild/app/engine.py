"""From the bytes of a photo to its poses: a process decodes it, another finds the people."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from liftwild.app.messages import Message
from liftwild.app.own_folder import OwnFolder
from liftwild.app.settings import Settings
from liftwild.app.wishes import FileWishes, Wishes
from liftwild.app.worker import Started, TooSlowError, Worker, WorkerDiedError, WorkerFaultError, WorkerPool
from liftwild.errors import LiftwildError

DECODERS = 2
TRIES = 3  # a process that ends takes all with it that it had begun
PHOTO_NICE = 5  # live pictures go before photos, photos before videos
PREFIX = "liftwild-pixels-"
TYPICAL_PX = 12_000_000  # of a phone's photo
SHARED = Path("/dev/shm")  # memory as files, where the system has it


class PoseFiles(NamedTuple):
    """``files``: name and content of each; ``warning``: what is to be said of a damaged photo, or ""; ``facts``: those
    of ``recording_facts``."""

    files: list[tuple[str, bytes]]
    warning: str
    facts: dict[str, Any]


class PhotoEngine:
    """Finds poses in photos, for many clients at once."""

    def __init__(self, settings: Settings, started: Started) -> None:
        self.settings, self._started = settings, started
        limits = settings.limits
        self.decoders = WorkerPool(DECODERS, "liftwild.app.decoder", limits.decoder_memory, started=started)
        self.workers: dict[str, Worker] = {}
        # A decoded photo is many times its file.
        self._decoded = asyncio.Semaphore(limits.photos_decoded)
        self._pixels = OwnFolder(_pixel_folder(settings), PREFIX)

    def worker(self, weights: str) -> Worker:
        """The process of some weights."""
        if weights not in self.workers:
            self.workers[weights] = Worker(
                "liftwild.app.photo_process", self.settings.limits.worker_memory, PHOTO_NICE, self._started,
                weights=weights, runtime=self.settings.runtime,
            )  # fmt: skip
        return self.workers[weights]

    async def poses(self, photo: bytes, name: str, weights: str, wishes: Wishes, wanted: FileWishes) -> PoseFiles:
        """The poses in a photo as files. LiftwildError if the photo or the wishes are at fault; TooSlowError,
        WorkerFaultError, MemoryError, OSError."""
        async with self._decoded:
            pixels = self._pixels.path / secrets.token_hex(16)
            # No process makes the file: what comes too late for a client who has gone leaves nothing behind.
            pixels.touch(0o600)
            asked = {"name": name, "wishes": wishes.as_json(), "files": asdict(wanted)}
            try:
                answer = await self._find(photo, pixels, weights, asked)
                if "least_px" in answer.fields:  # its people are small
                    answer = await self._find(photo, pixels, weights, asked, answer.fields["least_px"])
            finally:
                with suppress(FileNotFoundError):
                    pixels.unlink()
        fields = answer.fields
        return PoseFiles(split_files(fields["files"], answer.content), fields["warning"], fields["facts"])

    async def _find(
        self, photo: bytes, pixels: Path, weights: str, asked: dict[str, Any], least_px: int = 0
    ) -> Message:
        """What the process of the weights answers; ``least_px`` of the photo's longer side, 0: as many as mostly do."""
        fields, exif = await self._decode(photo, pixels, least_px)
        return await self._ask(weights, {"pixels": str(pixels), **fields, **asked}, exif)

    async def _decode(self, photo: bytes, pixels: Path, least_px: int) -> tuple[dict[str, Any], bytes]:
        limits = self.settings.limits
        fields = {"pixels": str(pixels), "max_pixels": limits.photo_pixels, "least_px": least_px}
        for last in (False, True):
            try:
                message = await self.decoders.ask(fields, photo, limits.decode_s)
                return message.fields, message.content
            except TooSlowError:
                raise LiftwildError(
                    f"photo: was not decoded within {limits.decode_s:g} s; save it anew, or smaller"
                ) from None
            except WorkerDiedError:  # by this photo, or by the system
                if last:
                    raise LiftwildError("photo: is damaged: it ends the program that reads it; save it anew") from None
        raise AssertionError

    async def _ask(self, weights: str, fields: dict[str, Any], content: bytes) -> Message:
        for tries in range(TRIES):
            try:
                return await self.worker(weights).ask(fields, content, self.settings.limits.photo_hang_s)
            except WorkerDiedError:  # perhaps of another photo
                if tries == TRIES - 1:
                    raise WorkerFaultError(f"photo: the process that finds poses ended {TRIES} times") from None
        raise AssertionError

    async def start(self) -> None:
        """Have the default weights ready. LiftwildError if they cannot be used."""
        await asyncio.gather(self.worker(self.settings.weights).start(), self.decoders.workers[0].start())

    async def end(self) -> None:
        """End all processes."""
        await asyncio.gather(self.decoders.end(), *(worker.end() for worker in self.workers.values()))
        self._pixels.remove()


def _pixel_folder(settings: Settings) -> Path:
    """Where decoded photos go from one process to the other: in memory where there is enough, as in few containers."""
    limits = settings.limits
    needed = 3 * limits.photo_pixels * DECODERS + limits.photos_decoded * 3 * TYPICAL_PX
    try:
        if shutil.disk_usage(SHARED).free >= needed and os.access(SHARED, os.W_OK | os.X_OK):
            return SHARED
    except OSError:
        pass  # this system has none
    return settings.folder


def split_files(listed: list[list[Any]], content: bytes) -> list[tuple[str, bytes]]:
    """Files that came one after the other, by names and lengths."""
    files, at = [], 0
    for name, length in listed:
        files.append((str(name), content[at : at + length]))
        at += length
    return files
