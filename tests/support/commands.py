"""The command line, run in this process or another."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from click.testing import CliRunner, Result

import liftwild as package
from liftwild.cli.main import cli

# For a Python process that imports the package under test.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(package.__file__).parent.parent)}


def liftwild(*arguments: object, code: int = 0) -> Result:
    """Run ``liftwild ...`` in this process; it must end with ``code`` and without a traceback."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def train_command(*arguments: object, processes: int = 0) -> list[str]:
    """``liftwild train ...`` as a user would type it, with ``processes`` under torchrun."""
    start = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes else []
    return [sys.executable, *start, "-m", "liftwild", "train", *map(str, arguments)]


def export(*arguments: object) -> Result:
    """Run ``liftwild export ...`` in this process, whatever it ends with."""
    return CliRunner().invoke(cli, ["export", *map(str, arguments)])
