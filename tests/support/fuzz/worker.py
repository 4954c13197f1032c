"""The process that reads damaged files: ``python -m tests.support.fuzz.worker TRACE``.

Reads a line of JSON for each case, {"command": [...], "folder": ..., "keeps": whether the folder may change}, and
answers with a line, {"fault": "" or what was wrong, "code": that of the exit, "said": ...}. A crash, or a case that
takes too long, ends it; then TRACE holds where it was.
"""

from __future__ import annotations

import faulthandler
import io
import json
import os
import re
import resource
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

LIMIT_S = 20.0
LIMIT_BYTES = 2 * 2**30  # of memory, above what the process has before the first case
MAX_LINES = 20  # that a case may say on stderr
ACTS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+)", text)[1]) * 1024  # type: ignore[index]


def _python_calls() -> dict[str, Callable[[Path], Any]]:
    """What only the Python API reads, by the word that stands first in a command."""
    from liftwild.synthetic.poses.pose_bank import read_poses

    return {"read_poses": read_poses}


def _run(command: list[str], calls: dict[str, Callable[[Path], Any]]) -> int:
    from liftwild.cli.main import main
    from liftwild.errors import LiftwildError

    if command[0] in calls:
        try:
            calls[command[0]](Path(command[1]))
        except LiftwildError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        return 0
    sys.argv = ["liftwild", *command]
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def _listing(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_size) for path in folder.rglob("*") if not path.is_dir())


def judged(code: int, out: str, said: str, noise: str, warned: list[str]) -> str:
    """What is wrong with how a case ended, or ""; ``out``, ``said``: what stood on stdout and stderr."""
    errors = [line for line in said.splitlines() if line.lstrip("\r").startswith("error:")]
    if "please report this" in said or "Traceback" in said:
        return "not foreseen: " + next(line for line in said.splitlines() if "please report" in line or "Trace" in line)
    if noise.strip():
        return f"noise of a library: {noise.strip().splitlines()[0][:200]}"
    if warned:
        return f"warning: {warned[0][:200]}"
    if found := ACTS.search(out + said):
        return f"control character {found[0]!r} printed"
    if code not in (0, 1):
        return f"exit code {code}: {said.strip().splitlines()[-1:]}"
    if code == 1 and len(errors) != 1:
        return f"{len(errors)} lines of error"
    if code == 0 and errors:
        return f"exit code 0 after {errors[0][:200]}"
    return f"{said.count(chr(10))} lines on stderr" if said.count("\n") > MAX_LINES else ""


def _case(asked: dict[str, Any], calls: dict[str, Callable[[Path], Any]], base: int) -> dict[str, str]:
    folder, out, err = Path(asked["folder"]), io.StringIO(), io.StringIO()
    os.chdir(folder)
    before = _listing(folder)
    Path("/proc/self/clear_refs").write_text("5")  # the highest memory begins anew
    with tempfile.TemporaryFile() as real, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        kept = os.dup(2)
        os.dup2(real.fileno(), 2)
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = _run(asked["command"], calls)
            fault = ""
        except BaseException as error:
            code = 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            fault = f"{type(error).__name__}: {str(error)[:200]} ({Path(place.filename).name}:{place.lineno})"
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        real.seek(0)
        noise = real.read().decode("utf-8", "replace")
    lines = [
        str(one.message) for one in warned if "liftwild" in one.filename or issubclass(one.category, RuntimeWarning)
    ]
    fault = fault or judged(code, out.getvalue(), err.getvalue(), noise, lines)
    if not fault and (grown := _status("VmHWM") - base) > LIMIT_BYTES:
        fault = f"{grown / 2**20:.0f} MiB of memory"
    if not fault and not asked["keeps"] and _listing(folder) != before:
        fault = f"writes outside its output: {sorted(set(_listing(folder)) ^ set(before))[:2]}"
    return {"fault": fault, "code": str(code), "said": err.getvalue()[-2000:] + out.getvalue()[-1000:] + noise[-500:]}


def main() -> None:
    """Answer until there is nothing more to read."""
    trace = open(sys.argv[1], "w")  # noqa: SIM115 - faulthandler writes to it until the end
    faulthandler.enable(trace)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a C library prints is noise as well
    import cv2
    import torch

    from liftwild.data.readers import foreign_process

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    calls = _python_calls()
    foreign_process.LIMIT_S = LIMIT_S / 4
    base, first = 0, True
    for line in sys.stdin:
        faulthandler.dump_traceback_later(LIMIT_S * (3 if first else 1), exit=True, file=trace)
        answer = _case(json.loads(line), calls, base or _status("VmRSS") + 2**28)
        faulthandler.cancel_dump_traceback_later()
        if first:  # what is imported late is there now
            base, first = _status("VmRSS"), False
            resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + 2 * LIMIT_BYTES, resource.RLIM_INFINITY))
            resource.setrlimit(resource.RLIMIT_FSIZE, (2**30, 2**30))
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
