"""Commands that are ended from outside, each in a process of its own without seconds of imports: all are forked from
one that has them loaded.

Reads a job a line, JSON ``{"arguments", "folder", "said"}``: runs ``liftwild ARGUMENTS`` in FOLDER, all that it says
going into the file SAID. Answers each with JSON ``{"codes", "seconds", "orphans"}``: its exit code as ``subprocess``
gives it, how long it ran, and the command lines of what it started and left alive. A job may also have ``signal`` and
``after_s``: it is sent after so long; ``together``: so many at once, of which the first gets the signal; ``limits``: by
the name that ``resource`` has for each; ``stdout``: "closed", or "broken", a pipe that nobody reads;
``no_temporary_folder``.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

ORPHANS_AFTER_S = 2.0
TOO_LONG_S = 120.0  # then it is killed

if __name__ == "__main__":  # not in the rendering processes, which import this file too
    import numpy as np
    import openvino  # noqa: F401  (not of liftwild: what its commands import late)
    import pandas  # noqa: F401
    import torch.utils.tensorboard  # noqa: F401

    import liftwild.cli.main
    import liftwild.data.prepare
    import liftwild.data.readers.h36m_layouts
    import liftwild.detection.detector
    import liftwild.evaluation.report
    import liftwild.evaluation.run
    import liftwild.inference.export
    import liftwild.pipeline.outputs
    import liftwild.synthetic.render.write
    import liftwild.training.train
    import liftwild.viz.plots
    import liftwild.viz.viewer_html
    from liftwild.inference import export_file


def be_the_command(job: dict[str, Any]) -> None:
    """In a forked process: ``liftwild ARGUMENTS``, in a session of its own; never comes back."""
    os.setsid()
    os.chdir(job["folder"])
    said = os.open(job["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(said, 1)
    os.dup2(said, 2)
    if job.get("stdout") == "closed":
        os.close(1)
    elif job.get("stdout") == "broken":
        reads, writes = os.pipe()
        os.dup2(writes, 1)
        os.close(reads)
        os.close(writes)
    if job.get("no_temporary_folder"):
        tempfile.tempdir = None
        tempfile._candidate_tempdir_list = lambda: ["/nowhere"]  # type: ignore[attr-defined]
    for name, most in job.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (most, most))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv[1:] = job["arguments"]
    code = 1
    try:
        liftwild.cli.main.main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    # What a program does at its end, but for taking down modules, which would copy all that was imported.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


def end(processes: list[int], job: dict[str, Any]) -> dict[str, Any]:
    """Wait for the forked processes, with the signal on its way; the answer to the job."""
    begun = time.monotonic()
    until = begun + job.get("after_s", TOO_LONG_S)
    ended, status = os.waitpid(processes[0], os.WNOHANG)
    while not ended and time.monotonic() < until:
        time.sleep(0.002)
        ended, status = os.waitpid(processes[0], os.WNOHANG)
    if not ended:
        os.kill(processes[0], job.get("signal", signal.SIGKILL))
        _, status = os.waitpid(processes[0], 0)
    seconds = time.monotonic() - begun
    others = [os.waitpid(process, 0)[1] for process in processes[1:]]
    codes = [os.waitstatus_to_exitcode(each) for each in (status, *others)]
    orphans = [orphan for process in processes for orphan in orphans_of(process)]
    return {"codes": codes, "seconds": seconds, "orphans": orphans}


def orphans_of(session: int) -> list[str]:
    """The command lines of what still lives of a session after a while; it is ended."""
    until = time.monotonic() + ORPHANS_AFTER_S
    while (alive := members(session)) and time.monotonic() < until:
        time.sleep(0.02)
    found = []
    for process in alive:
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{process}/cmdline").read_text().replace("\0", " "))
            os.kill(process, signal.SIGKILL)
    return found


def members(session: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, _, of_session = (folder / "stat").read_text().rpartition(") ")[2].split()[:4]
            if int(of_session) == session and state not in "ZX":
                found.append(int(folder.name))
    return found


def serve() -> None:
    """Answer until the caller goes."""
    # It would render people for seconds, and write nothing meanwhile.
    export_file.trial_crops = lambda side: np.zeros((2, side, side, 3), np.uint8)
    gc.freeze()  # else each collection in a forked process copies what was imported
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        processes = []
        for _ in range(job.get("together", 1)):
            processes.append(os.fork())
            if not processes[-1]:
                be_the_command(job)
        print(json.dumps(end(processes, job)), flush=True)


if __name__ == "__main__":
    serve()
