"""Cold starts: seconds from the start of a process to its end, with the files in the disk cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial

from clock import interleaved, noise
from photos import EXAMPLE

from liftwild.evaluation.tables import markdown_table

LIFTWILD = [sys.executable, "-m", "liftwild"]


def run(command: list[str]) -> None:
    """Run it, quietly; CalledProcessError if it fails."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ)


def report(rounds: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        photo = [*LIFTWILD, "predict", str(EXAMPLE), "-o", folder]
        commands = {
            "python -c pass": ([sys.executable, "-c", "pass"], ""),
            "python -c 'import liftwild'": ([sys.executable, "-c", "import liftwild"], ""),
            "liftwild --help": ([*LIFTWILD, "--help"], "0.3"),
            "python -c 'import torch'": ([sys.executable, "-c", "import torch"], ""),
            "liftwild predict person.jpg --no-figure": ([*photo, "--no-figure"], "2.5"),
            "liftwild predict person.jpg --no-figure --runtime torch": (
                [*photo, "--no-figure", "--runtime", "torch"],
                "",
            ),
            "liftwild predict person.jpg, with its picture": (photo, ""),
        }
        found = interleaved({name: partial(run, command) for name, (command, _) in commands.items()}, rounds)
    rows = [[name, f"{found[name].median:.2f}", goal or "-"] for name, (_, goal) in commands.items()]
    print("\n## Cold start\n")
    print(markdown_table(("from a process's start to its end", "s", "goal, s"), rows))
    print(f"\n{noise(found)}")


if __name__ == "__main__":
    report(5)
