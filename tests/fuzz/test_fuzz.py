"""Damaged inputs: each is done, or ends in one line and exit code 1; within time and memory, and without noise.

``make fuzz N=10000`` tries more and keeps what fails in ``cases/``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.extras import OTHER_LIBRARIES, RUNTIME_LIBRARIES
from tests.support.fuzz.mutate import BY_FORM, damaged

for library in OTHER_LIBRARIES | RUNTIME_LIBRARIES - {"openvino"}:
    pytest.importorskip(library)
if not Path("/proc/self/status").exists():
    pytest.skip("memory is measured by Linux's /proc", allow_module_level=True)

from tests.support.fuzz.hunt import CASES, Case, Hunt, kept_case  # noqa: E402
from tests.support.fuzz.kinds import KINDS  # noqa: E402
from tests.support.fuzz.worker import judged  # noqa: E402

NUMBER, SEED = 300, 1
NO_PEOPLE = {"asf", "amc"}  # seeds that end in an error: too few bones for a person


@pytest.fixture(scope="module")
def hunt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hunt]:
    hunt = Hunt(tmp_path_factory.mktemp("fuzz"))
    yield hunt
    hunt.close()


def test_seeds_are_done(hunt: Hunt) -> None:
    for kind in KINDS:
        done = hunt.run(Case(kind))
        assert not done["fault"] and done["code"] == ("1" if kind in NO_PEOPLE else "0"), (kind, done)


def test_damaged_inputs(hunt: Hunt, tmp_path: Path) -> None:
    faults = []
    for number in range(NUMBER):
        case = hunt.case(number, SEED)
        if fault := hunt.run(case)["fault"]:
            faults.append(f"{case.keep(tmp_path / f'{case.kind}@{SEED}-{number}')}: {fault}")
    assert not faults, "keep these files in tests/fuzz/cases:\n" + "\n".join(faults)


KEPT = sorted(CASES.iterdir())


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_what_failed_once(hunt: Hunt, path: Path) -> None:
    assert not hunt.run(kept_case(path))["fault"]


@pytest.mark.parametrize(
    ("code", "out", "err", "noise", "warned", "said"),
    [
        (0, "1 done\n", "", "", [], ""),
        (1, "", "error: x.png: is damaged\n", "", [], ""),
        (1, "", "warning: x\nerror: x.png: is damaged\n", "", [], ""),
        (1, "", "error: a\nerror: b\n", "", [], "2 lines of error"),
        (1, "", "", "", [], "0 lines of error"),
        (0, "", "error: a\n", "", [], "exit code 0"),
        (2, "", "Usage: x\n", "", [], "exit code 2"),
        (1, "", "error: x: liftwild fails on it, please report this (KeyError: 1)\n", "", [], "not foreseen"),
        (0, "", "", "libpng error\n", [], "noise"),
        (0, "", "", "", ["overflow encountered"], "warning: overflow"),
        (0, "a\x1b[2Jb\n", "", "", [], "control character"),
    ],
)
def test_what_is_a_fault(code: int, out: str, err: str, noise: str, warned: list[str], said: str) -> None:
    found = judged(code, out, err, noise, warned)
    assert said in found if said else not found


@pytest.mark.parametrize("form", ["", *BY_FORM])
def test_damage_is_the_same_in_every_run(form: str) -> None:
    data = b'{"a": [1, 2.5, "x"], "b": null}\nkey = 3\n'
    made = [damaged(data, form, random.Random(seed)) for seed in range(50)]
    assert made == [damaged(data, form, random.Random(seed)) for seed in range(50)]
    assert sum(one != data for one in made) > 40


def test_a_crash_is_told_and_the_next_case_runs(hunt: Hunt) -> None:
    worker = hunt.started()
    worker.kill()
    worker.wait()
    assert "ends the process (-9)" in hunt.run(Case("jpeg"))["fault"]
    assert not hunt.run(Case("jpeg"))["fault"]
