"""MediaPipe beside us, in a process and an environment of its own, answering one request at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from clock import Job, Took

PYTHON = Path(__file__).parents[1] / ".venv-peers" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
DETECT, TRACK = "MediaPipe full, with its detector", "MediaPipe full, tracking"


class Peer:
    """A MediaPipe that answers. ``version``: its own."""

    def __init__(self, process: subprocess.Popen[str], said: IO[str]) -> None:
        self.process, self.said = process, said
        self.version = str(self._answer()["version"])

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.said.seek(0)
            print("".join(self.said.readlines()[-8:]), file=sys.stderr)
            sys.exit(
                "error: MediaPipe's process has ended, see above; rm -r .venv-peers && make bench-peers builds it anew"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, **request: Path | str | int | bool) -> dict[str, Any]:
        """The answer to a request as ``peer_mediapipe.py`` has it: ``seconds``, and in how many pictures somebody was
        ``found``."""
        assert self.process.stdin is not None
        words = {name: str(value) if isinstance(value, Path) else value for name, value in request.items()}
        print(json.dumps(words), file=self.process.stdin, flush=True)
        return self._answer()

    def job(self, **request: Path | str | int | bool) -> Job:
        """Seconds of a request."""
        return lambda: Took(self.ask(**request)["seconds"])

    def jobs(self, photos: Sequence[Path]) -> dict[str, Job]:
        """Mean seconds of a call over ``photos``, with its detector and tracking."""

        def job(track: bool) -> Job:
            return lambda: Took(sum(self.ask(photo=photo, track=track)["seconds"] for photo in photos) / len(photos))

        return {DETECT: job(False), TRACK: job(True)}


@contextmanager
def mediapipe(python: Path = PYTHON) -> Iterator[Peer | None]:
    """MediaPipe while the context lasts; None where its environment has not been built."""
    if not python.exists():
        yield None
        return
    command = [str(python), str(Path(__file__).with_name("peer_mediapipe.py"))]
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        try:
            yield Peer(process, said)
        finally:
            process.kill()
