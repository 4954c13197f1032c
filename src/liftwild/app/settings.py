"""What a server is started with, and the limits that it holds."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

from liftwild.errors import LiftwildError

HOST = re.compile(r"([^\[\]:/?#@\s]+|\[[0-9a-f:.]+\])(?::[0-9]{0,5})?", re.IGNORECASE)  # as in a Host header
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
MIN_TOKEN = 12  # letters, where other machines can try some
ANYBODY = "local"  # whose results are without tokens


@dataclass(frozen=True)
class Limits:
    """What one request, one client and all of them may use."""

    photo_bytes: int = 50 << 20
    photo_pixels: int = 50_000_000
    video_bytes: int = 2 << 30
    video_s: float = 1800.0
    video_pixels: int = 3840 * 2160
    video_fps: float = 240.0
    fields_bytes: int = 16 << 10  # of a multipart body's fields that are no file
    decode_s: float = 20.0  # for a photo
    silence_s: float = 20.0  # of a client in the middle of a request or of an answer, or before one
    slowest_bytes_s: float = 2000.0  # of a body, or of an answer that is read, in each ``silence_s``
    photo_body_s: float = 300.0  # until a photo is there, whatever its speed
    photos_at_once: int = 64  # waiting and in work
    photos_decoded: int = 16  # of them
    photo_bytes_at_once: int = 512 << 20  # that have come in, files as they are
    videos_queued: int = 20
    videos_queued_each: int = 8  # of one client
    photos_each_s: float = 50.0  # of one client, on average
    connections: int = 1024
    live_sessions: int = 4
    live_frame_bytes: int = 1 << 20
    live_pixels: int = 4_000_000
    live_frames_each_s: float = 120.0
    events_at_once: int = 64  # clients that are told of progress
    keep_s: float = 24 * 3600.0
    keep_bytes: int = 10 << 30
    keep_count: int = 10_000
    job_deaths: int = 3
    photo_hang_s: float = 120.0  # of the process that finds poses, before it is started anew
    job_silence_s: float = 900.0  # of a process that works on a video: no frame was done
    uploads_at_once: int = 32  # that may become recordings
    uploads_each: int = 8  # of one client
    files_at_once: int = 32  # of recordings, that are made or wait for it
    decoder_memory: int = 4 << 30  # address space of a process, bytes
    worker_memory: int = 32 << 30


@dataclass(frozen=True)
class Settings:
    """A server. ``folder``: where results and uploads lie; ``tokens``: who has one of them may ask, each sees his own
    results alone; none: anybody on this machine. ``host_names``: as which it is spoken to, beside those of ``host``.

    LiftwildError where others could reach it without a token.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8757
    weights: str = "base"
    live_weights: str = "small"
    runtime: str = "auto"
    tokens: tuple[str, ...] = ()
    host_names: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        others = is_for_others(self.host, self.host_names)
        least = MIN_TOKEN if others else 1
        if any(len(token) < least for token in self.tokens):
            raise LiftwildError(
                "a token is empty" if least == 1 else f"a token has {least} letters or more: shorter ones are guessed"
            )
        if not self.tokens and others:
            called = ", ".join(self.host_names) or self.host
            raise LiftwildError(f"{called} can be reached from other machines: a server there needs a token")

    def owner(self, token: str | None) -> str | None:
        """Whose results are seen with ``token``; None: nobody's, it is refused."""
        if not self.tokens:
            return ANYBODY
        if token is None:
            return None
        given = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
        # Digests are compared: how long that takes says nothing of the tokens.
        known = {hashlib.sha256(each.encode()).hexdigest() for each in self.tokens}
        return given[:32] if given in known else None

    def accepts_host(self, header: str) -> bool:
        """Whether a request may be meant for this server, by its Host: a page elsewhere whose name leads here has its
        own name there."""
        found = HOST.fullmatch(header)
        name = found[1] if found else ""
        own = (self.host, f"[{self.host}]", *self.host_names, *LOCAL_NAMES)
        if name and name.lower() in {each.lower() for each in own}:
            return True
        # No name of another's leads to where a number is asked for.
        return self.host in ("0.0.0.0", "::") and _is_address(name)


def is_for_others(host: str, host_names: tuple[str, ...] = ()) -> bool:
    """Whether other machines reach ``host``, or a proxy that gives a server ``host_names`` may lead them there."""
    return bool(host_names) or not is_loopback(host)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
