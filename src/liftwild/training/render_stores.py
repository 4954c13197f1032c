"""Stores of rendered people and of procedural poses, made before a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tqdm import tqdm

from liftwild.console import say
from liftwild.files import make_folder
from liftwild.synthetic.poses.pose_bank import write_poses
from liftwild.synthetic.render.generate import RenderedSample, batch_size, render_people
from liftwild.synthetic.render.write import rendered_row, write_store
from liftwild.threads import usable_cores
from liftwild.training import budget
from liftwild.training.recipe import StoreEntry

MAX_PROCESSES = 8  # that render on a CPU
POSE_COST = 0.03  # of a pose without a picture, against a rendered person
SOON_S = 20.0  # with less time this process renders alone: others take seconds to start
RENDERED_PX = 256  # side of the pictures
ROW_BYTES = 500  # of a stored person beside the picture


def render_missing(entries: Sequence[StoreEntry], device: str = "cpu", until: float | None = None) -> None:
    """Render the stores of ``entries``, until ``budget.now()`` is ``until``: each gets its people's share of the time.

    A store that is cut short holds fewer people than its entry asks for, and stderr says so.
    """
    people = sum(_cost(entry) for entry in entries)
    for entry in entries:
        start = budget.now()
        render_store(entry, device, None if until is None else start + max(0.0, until - start) * _cost(entry) / people)
        people -= _cost(entry)


def _cost(entry: StoreEntry) -> float:
    """How long a store takes beside others, in rendered people."""
    return entry.count * (POSE_COST if entry.render == "poses" else 1.0)


def render_store(entry: StoreEntry, device: str = "cpu", until: float | None = None) -> None:
    """Render the people of ``entry`` into its store, which appears whole or not at all; on CPU by several processes.

    Not much longer than until ``budget.now()`` is ``until``, but one batch at least.
    """
    if entry.render == "poses":
        say(f"drawing {entry.count} poses into {entry.path}, once", err=True)
        write_poses(entry.path, entry.count, entry.render_seed, lambda batches: tqdm(batches, unit="batch"))
        return
    assert entry.render
    little = until is not None and until - budget.now() < SOON_S
    processes = 1 if little or device != "cpu" else min(MAX_PROCESSES, usable_cores())
    samples = render_people(
        entry.render, entry.count, entry.render_seed, split=entry.split, backdrops=entry.backgrounds or None,
        processes=processes, device=device,
    )  # fmt: skip
    path = Path(entry.path)
    make_folder(path.parent)
    say(f"rendering {entry.count} people into {path}, once", err=True)
    batch = batch_size(RENDERED_PX, device)
    bar = tqdm(total=entry.count, unit="picture")
    with closing(samples), bar:  # after Ctrl-C its processes end at once
        told = with_estimate(_counted(samples, bar), entry.count, batch * processes, until)
        write_store(_until(told, until, batch), path)
        done = bar.n
    if done < entry.count:
        line = f"{path} holds {done} of {entry.count} people: the share of --minutes for rendering is used; it stays "
        say(line + "so, also for --resume and other runs; to have all, delete it and train into a new --out", err=True)


def _counted(samples: Iterable[RenderedSample], bar: tqdm[Any]) -> Iterator[RenderedSample]:
    for rendered in samples:
        bar.update(1)
        yield rendered


def with_estimate(
    samples: Iterable[RenderedSample], people: int, first: int, until: float | None
) -> Iterator[RenderedSample]:
    """``samples``; after the ``first`` of them one line says how long all ``people`` take, and how many MB."""
    start, size = 0.0, 0
    for number, rendered in enumerate(samples):
        if number == 0:  # the wait before is that for processes to start
            start = budget.now()
        if number < first:
            size += len(rendered_row(rendered)["image"]) + ROW_BYTES
        if number == first:
            each = (budget.now() - start) / first
            left = (people - number) * each
            line = f"about {budget.duration_text(left)} more for all {people}, {each:.2g} s each; "
            line += f"about {size / first * people / 1e6:.1f} MB"
            if until is not None and budget.now() + left > until:
                line += f"; the share of --minutes for rendering ends in {budget.duration_text(until - budget.now())}"
            say(line, err=True)
        yield rendered


def _until(samples: Iterable[RenderedSample], until: float | None, least: int) -> Iterator[RenderedSample]:
    """``samples`` until ``budget.now()`` is ``until``, but ``least`` of them, if there are so many."""
    for number, rendered in enumerate(samples, start=1):
        yield rendered
        if until is not None and number >= least and budget.now() >= until:
            return
