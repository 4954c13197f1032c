"""Damaged inputs by the thousand: ``python -m tests.support.fuzz.hunt 10000 [--seed S] [--kind NAME]``.

Case ``n`` of seed ``s`` is the same in every run. What fails is kept in ``tests/fuzz/cases``, for ``make test``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.support.commands import ENVIRONMENT
from tests.support.fuzz.kinds import KINDS, fresh, write_seeds
from tests.support.fuzz.mutate import damaged, hostile_name
from tests.support.fuzz.worker import LIMIT_S
from tests.support.paths import ROOT

CASES = ROOT / "tests" / "fuzz" / "cases"
NAME = ".name"  # of a kept case that is the name of a file, as JSON


@dataclass(frozen=True)
class Case:
    """A damaged file: its ``kind``, and ``content`` or another ``name``."""

    kind: str
    content: bytes | None = None
    name: str | None = None

    def keep(self, path: Path) -> Path:
        """Write it; the path with the suffix that fits."""
        suffix = NAME if self.name is not None else Path(KINDS[self.kind].file).suffix
        path = path.with_name(path.name + suffix)
        path.write_bytes(json.dumps(self.name).encode() if self.content is None else self.content)
        return path


def kept_case(path: Path) -> Case:
    """The case of a file of ``CASES``, whose name begins with its kind: KIND@WHAT.SUFFIX."""
    kind = path.name.partition("@")[0]
    if path.suffix == NAME:
        return Case(kind, name=json.loads(path.read_text()))
    return Case(kind, content=path.read_bytes())


class Hunt:
    """A process that reads cases, started again when it ends; ``seeds``: a folder with those of all kinds."""

    def __init__(self, folder: Path, kinds: tuple[str, ...] = ()) -> None:
        self.seeds, self.work, self.trace = folder / "seeds", folder / "work", folder / "trace"
        self.kinds = kinds or tuple(KINDS)
        write_seeds(self.seeds, self.kinds)
        self._worker: subprocess.Popen[str] | None = None

    def case(self, number: int, seed: int) -> Case:
        """Case ``number``: kinds take turns."""
        rng, name = random.Random(f"{seed} {number}"), self.kinds[number % len(self.kinds)]
        kind = KINDS[name]
        if kind.renamed and rng.random() < 0.15:
            return Case(name, name=hostile_name(Path(kind.file).suffix, rng))
        return Case(name, content=damaged((self.seeds / name / "in" / kind.file).read_bytes(), kind.form, rng))

    def run(self, case: Case) -> dict[str, str]:
        """What became of a case: ``fault`` "" if it was done or ended in one line, and what was ``said``."""
        kind, folder = KINDS[case.kind], fresh(self.seeds, case.kind, self.work)
        file = folder / kind.file
        if case.content is not None:
            file.write_bytes(case.content)
        elif case.name is not None:
            os.rename(file, os.path.join(file.parent, case.name))
        asked = {"command": kind.command, "folder": str(folder), "keeps": kind.keeps}
        worker = self.started()
        assert worker.stdin is not None and worker.stdout is not None
        with suppress(BrokenPipeError):  # it has ended: seen below
            worker.stdin.write(json.dumps(asked) + "\n")
            worker.stdin.flush()
        ready = select.select([worker.stdout], [], [], 5 * LIMIT_S)[0]
        if ready and (line := worker.stdout.readline()):
            return json.loads(line)
        return self._ended(worker, bool(ready))

    def started(self) -> subprocess.Popen[str]:
        """The process, which is started where there is none."""
        if self._worker is None:
            command = [sys.executable, "-m", "tests.support.fuzz.worker", str(self.trace)]
            environment = {**ENVIRONMENT, "PYTHONPATH": f"{ROOT}:{ENVIRONMENT['PYTHONPATH']}"}
            self._worker = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                env=environment,
            )  # fmt: skip
        return self._worker

    def _ended(self, worker: subprocess.Popen[str], ready: bool) -> dict[str, str]:
        if not ready:
            worker.kill()
        code = worker.wait()
        self._worker = None
        trace = self.trace.read_text(errors="replace")
        places = [line.strip() for line in trace.splitlines() if "liftwild" in line][:2]
        how = "takes too long" if "Timeout" in trace or not ready else f"ends the process ({code})"
        return {"fault": f"{how}: {' < '.join(places)}", "code": str(code), "said": trace[-2000:]}

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait()
            for stream in (self._worker.stdin, self._worker.stdout):
                _close(stream)
            self._worker = None


def _close(stream: IO[Any] | None) -> None:
    with suppress(BrokenPipeError):
        if stream is not None:
            stream.close()


def main() -> None:
    """Run cases, keep those that fail, and say how many of each kind did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="Number of the first case.")
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--keep", type=Path, default=CASES, help="Folder for what fails.")
    parser.add_argument("--most", type=int, default=3, help="Keep so many cases of one fault.")
    asked = parser.parse_args()
    faults: Counter[tuple[str, str]] = Counter()
    begun = time.monotonic()
    asked.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        hunt = Hunt(Path(folder), tuple(asked.kind or ()))
        try:
            for number in range(asked.first, asked.first + asked.count):
                case = hunt.case(number, asked.seed)
                if fault := hunt.run(case)["fault"]:
                    faults[case.kind, fault[:60]] += 1
                    kept = ""
                    if faults[case.kind, fault[:60]] <= asked.most:
                        kept = case.keep(asked.keep / f"{case.kind}@{asked.seed}-{number}").name
                    print(f"{number} {case.kind}: {fault!r} {kept}", flush=True)
        finally:
            hunt.close()
    minutes = (time.monotonic() - begun) / 60
    print(f"{asked.count} cases of {len(hunt.kinds)} kinds in {minutes:.1f} minutes, {sum(faults.values())} faults")
    raise SystemExit(1 if faults else 0)


if __name__ == "__main__":
    main()
