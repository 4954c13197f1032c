"""``liftwild train`` on two nodes: two agents of torchrun on this machine; a process or a whole node dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from liftwild.training import checkpoint as checkpoints
from tests.support.commands import ENVIRONMENT, train_command
from tests.support.stores import write_store
from tests.support.training import logged, tiny_recipe, to_toml

pytestmark = pytest.mark.skipif("LIFTWILD_SCALE_PHOTOS" not in os.environ, reason="make test-scale runs it")

STEPS = 60
OPTIONS = ("--precision", "32-true", "--accelerator", "cpu", "--workers", "0")
LAST = f"checkpoints/step-{STEPS:08d}"
# Each round of torchrun gets a store of its own: else a process may find the address of one that died.
NODES = {**ENVIRONMENT, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three stages, batch-norm statistics held fixed."""
    folder = tmp_path_factory.mktemp("recipe")
    three, two = write_store(folder / "three.arrow", 12, True), write_store(folder / "two.arrow", 12, False, seed=1)
    stages = [{**stage, "freeze_norm": True, "batch_size": 6} for stage in tiny_recipe(three, two)["stages"]]
    stages[2]["iterations"] = STEPS - sum(stage["iterations"] for stage in stages[:2])
    path = folder / "recipe.toml"
    path.write_text(to_toml(tiny_recipe(three, two, stages=stages, ema_decay=0.5)))
    return path


@pytest.fixture(scope="module")
def whole(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run by two processes that nothing disturbs."""
    out = tmp_path_factory.mktemp("whole")
    done = subprocess.run(
        train_command(recipe, "--out", out, *OPTIONS, processes=2), env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return out


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return int(free.getsockname()[1])


class Nodes:
    """Two agents of torchrun, a process each; the first holds the rendezvous."""

    def __init__(self, folder: Path, recipe: Path, outs: tuple[Path, Path]) -> None:
        self.port = free_port()
        self.folder, self.recipe, self.outs = folder, recipe, outs
        self.agents = [self.start(0), self.start(1)]

    def start(self, node: int) -> subprocess.Popen[bytes]:
        """The command of a node, as it would be typed there."""
        torchrun = [
            sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1",
            "--rdzv-backend", "c10d", "--rdzv-id", "tiny", "--rdzv-endpoint", f"localhost:{self.port}",
            "--rdzv-conf", f"is_host={str(node == 0).lower()}", "--local-addr", "localhost", "--max-restarts", "3",
        ]  # fmt: skip
        train = train_command(self.recipe, "--out", self.outs[node], "--resume", *OPTIONS)[1:]
        with (self.folder / f"node{node}.log").open("ab") as log:
            return subprocess.Popen([*torchrun, *train], env=NODES, stdout=log, stderr=log, start_new_session=True)

    def worker(self, node: int) -> int:
        """The process that trains on a node."""
        agent = self.agents[node].pid
        pids = [int(pid) for pid in Path(f"/proc/{agent}/task/{agent}/children").read_text().split()]
        (pid,) = [pid for pid in pids if b"liftwild" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return pid

    def wait_for_step(self, step: int) -> None:
        """Until there is a checkpoint of ``step`` or a later one."""
        until = time.monotonic() + 120
        while not (found := checkpoints.list_checkpoints(self.outs[0] / "checkpoints")) or found[-1].name < _name(step):
            assert time.monotonic() < until and None in (agent.poll() for agent in self.agents), self.said()
            time.sleep(0.01)
        assert found[-1].name < _name(STEPS - 10), "too late to kill anybody"

    def wait(self) -> list[int]:
        """The codes that the agents end with."""
        return [agent.wait(timeout=180) for agent in self.agents]

    def said(self) -> str:
        """What both nodes wrote."""
        return "\n".join((self.folder / f"node{node}.log").read_text() for node in (0, 1))

    def close(self) -> None:
        """End what still runs."""
        for agent in self.agents:
            if agent.poll() is None:
                agent.terminate()  # it ends its processes
                agent.wait(timeout=60)


def _name(step: int) -> str:
    return f"step-{step:08d}"


Start = Callable[..., Nodes]


@pytest.fixture
def start(recipe: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts two nodes, into one folder or two."""
    started: list[Nodes] = []

    def begin(*outs: str) -> Nodes:
        started.append(Nodes(tmp_path, recipe, (tmp_path / outs[0], tmp_path / outs[-1])))
        return started[-1]

    yield begin
    for nodes in started:
        nodes.close()


def check_same(out: Path, whole: Path) -> None:
    """Each step is logged once, and all that was learnt is the same to the bit."""
    assert [row["step"] for row in logged(out)] == list(range(1, STEPS + 1))
    for name in ("weights", f"{LAST}/net", f"{LAST}/average", f"{LAST}/optimizer"):
        assert (out / f"{name}.safetensors").read_bytes() == (whole / f"{name}.safetensors").read_bytes(), name


@pytest.mark.parametrize("node", [0, 1])
def test_a_process_that_is_killed(start: Start, whole: Path, node: int) -> None:
    """torchrun starts both again, and they go on from the last checkpoint."""
    nodes = start("run")
    nodes.wait_for_step(20)
    os.kill(nodes.worker(node), signal.SIGKILL)
    assert nodes.wait() == [0, 0], nodes.said()
    assert nodes.said().count("training tiny: ") == 2 and ", from step " in nodes.said()
    check_same(nodes.outs[0], whole)


def test_a_node_that_dies_and_comes_back(start: Start, whole: Path) -> None:
    nodes = start("run")
    nodes.wait_for_step(20)
    worker = nodes.worker(1)
    nodes.agents[1].kill()
    os.kill(worker, signal.SIGKILL)
    nodes.agents[1].wait()
    nodes.agents[1] = nodes.start(1)
    assert nodes.wait() == [0, 0], nodes.said()
    check_same(nodes.outs[0], whole)


def test_machines_that_do_not_share_the_folder(start: Start) -> None:
    """The second finds none of the checkpoints of the first: that is an error, not a run that is half begun anew."""
    nodes = start("run", "elsewhere")
    nodes.wait_for_step(20)
    os.kill(nodes.worker(1), signal.SIGKILL)
    assert 0 not in nodes.wait()
    assert "--out must be a folder that all machines share" in nodes.said()


def test_who_waits_for_the_others_ends_at_once(recipe: Path, tmp_path: Path) -> None:
    """Waiting, it does not run Python: torchrun would kill it after 30 s."""
    alone = {"WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "RANK": "1", "GROUP_RANK": "1",
             "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port()),
             "TORCHELASTIC_RUN_ID": "tiny"}  # fmt: skip
    command = train_command(recipe, "--out", tmp_path / "run", *OPTIONS)
    process = subprocess.Popen(command, env={**ENVIRONMENT, **alone}, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert any("GLOBAL_RANK: 1" in line for line in process.stderr), "it did not begin to wait"
        time.sleep(1)
        process.terminate()
        assert process.wait(timeout=15) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait()
