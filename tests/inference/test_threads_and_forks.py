"""One Estimator in several threads, and after a fork."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from liftwild import Estimator
from liftwild.detection.detector import Detector
from liftwild.inference.runtime_kinds import RUNTIMES
from liftwild.pose import Pose
from tests.support.commands import ENVIRONMENT
from tests.support.images import picture

BOXES = [(5.0, 4.0, 40.0, 50.0), (20.0, 8.0, 30.0, 45.0), (2.0, 2.0, 70.0, 55.0)]
KINDS = ("torch", "openvino-fp32", "onnx")


def need(kind: str) -> None:
    """Skips where a runtime is not installed."""
    if RUNTIMES[kind].library:
        pytest.importorskip(RUNTIMES[kind].library)
        pytest.importorskip("onnx")


def same(one: list[Pose], other: list[Pose]) -> bool:
    """Whether poses are the same to the bit."""
    return len(one) == len(other) and all(
        np.array_equal(a.joints_2d, b.joints_2d) and np.array_equal(a.joints_3d, b.joints_3d)
        and np.array_equal(a.confidence, b.confidence)
        for a, b in zip(one, other, strict=True)
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_four_threads_get_what_one_gets(kind: str, tiny_weights: Path) -> None:
    need(kind)
    estimator = Estimator(tiny_weights, "cpu", runtime=kind)
    jobs = [(picture(seed=seed), BOXES[: 1 + seed % 3]) for seed in range(24)]
    alone = [estimator.predict(*job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: estimator.predict(*job), jobs))
    assert all(map(same, alone, together))
    assert not same(alone[2], alone[5])  # else all jobs are alike


@pytest.mark.parametrize("kind", KINDS)
def test_four_threads_find_whom_one_finds(kind: str) -> None:
    need(kind)
    detector = Detector(device="cpu", min_score=0.02, runtime=kind)
    photos = [picture(300, 400, seed) for seed in range(8)]
    alone = [detector.detect(photo) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detector.detect, photos)) == alone
    assert any(alone)


FORKED = """if True:
    import os, sys
    import numpy as np
    from liftwild import Estimator
    from liftwild.errors import LiftwildError
    before, kind, weights = sys.argv[1] == "before", sys.argv[2], sys.argv[3]

    def predict(estimator=None):
        (estimator or Estimator(weights, "cpu", runtime=kind)).predict(np.full((60, 80, 3), 90, np.uint8), whole=True)

    estimator = Estimator(weights, "cpu", runtime=kind) if before else None
    if before:
        predict(estimator)
    child = os.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    refused = 0
    for one in (estimator, None):
        try:
            predict(one)
        except LiftwildError as error:
            refused += "spawn" in str(error)
    os._exit(0 if refused == (2 if before else 0) else 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("used", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fork_is_refused_after_use_and_works_before(kind: str, used: str, tiny_weights: Path) -> None:
    need(kind)
    command = [sys.executable, "-c", FORKED, used, kind, str(tiny_weights)]
    environment = {**ENVIRONMENT, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
