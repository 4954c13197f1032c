"""Progress of a run: a progress bar, log.jsonl, TensorBoard, and a picture of predictions."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from liftwild.console import say
from liftwild.evaluation.metric_table import METRICS
from liftwild.files import make_folder, write_whole
from liftwild.heatmap import decode
from liftwild.media.encoding import write_png
from liftwild.network.posenet import Prediction
from liftwild.sample import Batch
from liftwild.skeleton import MPII_16
from liftwild.training.stage import Stage

LOG, PICTURE = "log.jsonl", "predictions.png"
LINES_EVERY_S = 60.0  # without a terminal: one line of progress so often
PICTURES = 8


class Monitor:
    """Progress of a run of ``total`` steps, ``done`` of them before; silent unless ``is_main`` (rank 0).

    Every ``every`` steps one line goes into ``log.jsonl`` (step, stage, means of the losses since, lr, images_per_s)
    and the same to TensorBoard.
    """

    def __init__(self, out: Path, total: int, done: int, every: int, is_main: bool) -> None:
        self.out, self.total, self.done, self.every, self.is_main = out, total, done, every, is_main

    def __enter__(self) -> Monitor:
        if self.is_main:
            make_folder(self.out)
            self._drop_later_lines()
            self.writer = SummaryWriter(str(self.out / "tensorboard"), purge_step=self.done + 1)
            terminal = sys.stderr.isatty()
            self.bar = tqdm(
                total=self.total, initial=self.done, unit="it", dynamic_ncols=True, smoothing=0.05,
                mininterval=0.5 if terminal else LINES_EVERY_S, maxinterval=0.5 if terminal else 2 * LINES_EVERY_S,
            )  # fmt: skip
            self.sums: dict[str, float] = {}
            self.last_step = ("", 0, 0.0)  # its stage, how many with it, its learning rate
            self.images, self.steps, self.since = 0, 0, time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.is_main:
            self.bar.close()
            self.writer.close()

    def step(self, stage: Stage, total: int, images: int, losses: dict[str, Tensor], lr: float) -> None:
        """One step done, ``total`` in all: its ``losses``, learning rate ``lr``, ``images`` in the whole batch."""
        if not self.is_main:
            return
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(loss)
        self.images, self.steps = self.images + images, self.steps + 1
        self.bar.update(1)
        self.last_step = (stage.name, total, lr)
        if self.steps >= self.every or total == self.total:
            self.end_row()

    def end_row(self) -> None:
        """Log the means of the steps since the last row, if there are any; a row holds steps of one stage."""
        if not self.is_main or not self.steps:
            return
        name, total, lr = self.last_step
        seconds = time.perf_counter() - self.since
        means = {loss: value / self.steps for loss, value in self.sums.items()}
        for loss, value in means.items():
            self.writer.add_scalar(f"train/{loss}", value, total)
        self.writer.add_scalar("train/lr", lr, total)
        self.writer.add_scalar("train/images_per_s", self.images / seconds, total)
        row = {"step": total, "stage": name, **means, "lr": lr, "images_per_s": round(self.images / seconds, 1)}
        self._log(row)
        shown = " ".join(f"{loss} {value:.3g}" for loss, value in means.items())
        self.bar.set_description(name, refresh=False)
        self.bar.set_postfix_str(f"{shown} {self.images / seconds:.0f} images/s", refresh=False)
        self.sums, self.images, self.steps, self.since = {}, 0, 0, time.perf_counter()

    def _drop_later_lines(self) -> None:
        """Drop lines of steps after the checkpoint that the run goes on from."""
        log = self.out / LOG
        if log.exists():
            lines = log.read_text(errors="replace").splitlines()
            steps = [_step_of(line) for line in lines]
            if None in steps[:-1]:  # the last line may have been cut by a kill
                self.say(f"{log}: {steps[:-1].count(None)} damaged lines are dropped")
            kept = [line for line, step in zip(lines, steps, strict=True) if step is not None and step <= self.done]
            write_whole(log, "".join(f"{line}\n" for line in kept).encode())

    def _log(self, row: dict[str, object]) -> None:
        with (self.out / LOG).open("a") as log:
            log.write(json.dumps(row) + "\n")

    def scores(self, store: str, scores: dict[str, float], total: int) -> None:
        """What was measured on a val store."""
        if self.is_main:
            for name, value in scores.items():
                self.writer.add_scalar(f"val/{store}/{name}", value, total)
            self._log({"step": total, "store": store, **scores})
            shown = " ".join(f"{name} {value:.1f}" for name, value in scores.items())
            say(f"step {total}, {store}: {shown}", err=True)
            self.since = time.perf_counter()

    def say(self, line: str) -> None:
        """Print a line beside the progress bar."""
        if self.is_main:
            say(line, err=True)

    def set_total(self, total: int) -> None:
        """Change the number of steps of the run to ``total``."""
        self.total = total
        if self.is_main:
            self.bar.total = total

    def picture(self, batch: Batch, pred: Prediction, input_px: int, total: int) -> None:
        """A row of the batch's images with labelled joints (hollow) and predicted ones (filled), right orange, left
        blue; to TensorBoard and ``predictions.png``."""
        if not self.is_main:
            return
        with torch.no_grad():
            points, _ = decode(pred.heatmaps[-1][:PICTURES].float().cpu().numpy(), input_px)
        tiles = []
        for image, found, true, valid in zip(
            batch.images[:PICTURES].permute(0, 2, 3, 1).cpu().numpy(), points,
            batch.joints_2d[:PICTURES].cpu().numpy(), batch.joints_2d_valid[:PICTURES].cpu().numpy(), strict=True,
        ):  # fmt: skip
            tile = cv2.resize(image, (256, 256))
            scale = 256 / input_px
            for j, name in enumerate(MPII_16.names):
                colour = (
                    (240, 140, 0) if name.startswith("right") else (0, 120, 255) if "left" in name else (60, 220, 60)
                )
                if valid[j]:
                    cv2.circle(tile, _pixel(true[j] * scale), 5, colour, 1, cv2.LINE_AA)
                cv2.circle(tile, _pixel(found[j] * scale), 3, colour, -1, cv2.LINE_AA)
            tiles.append(tile)
        row = np.concatenate(tiles, axis=1)
        write_png(self.out / PICTURE, row)
        self.writer.add_image("predictions", row, total, dataformats="HWC")


def before_and_after(before: dict[str, Any], after: dict[str, Any]) -> str:
    """A small table of the scores of val stores (by name, then metric) before a run and after it."""
    columns = {METRICS[key].column: key for key in ("pck_torso", "sides_swapped", "mpjpe_mm", "pa_mpjpe_mm")}
    rows = [["val store", *columns]]
    for name, scores in before.items():
        cells = [
            f"{scores[key]:.1f} -> {after[name][key]:.1f}" if key in scores and key in after.get(name, {}) else "-"
            for key in columns.values()
        ]
        rows.append([name, *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _pixel(point: np.ndarray) -> tuple[int, int]:
    x, y = np.clip(point, -9999, 9999)
    return int(x), int(y)


def _step_of(line: str) -> int | None:
    """The step that a line of the log is about; None if the line is damaged."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = row.get("step") if isinstance(row, dict) else None
    return step if type(step) is int else None
