"""Training of the network that finds people: one loop, resumable, on scenes composed as it goes."""

from __future__ import annotations

import copy
import importlib.metadata
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from liftwild import __version__
from liftwild.boxes import suppress
from liftwild.data.mixed import worker_init
from liftwild.data.pieces import People
from liftwild.data.scenes import Scenes
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation.detection import Matched, match
from liftwild.finder_net import STRIDE, FinderConfig, FinderNet, draw_people, finder_losses, read_people
from liftwild.people.backdrops import find_backgrounds
from liftwild.training import checkpoint as checkpoints
from liftwild.training.average import follow
from liftwild.training.monitor import Monitor
from liftwild.training.recipe import Stage
from liftwild.training.run import precision_for
from liftwild.weights.finder import save_finder

VAL_SCENES = 512
VAL_SEED = 10**6  # the first number of the seeds of scenes that are measured on
BACKGROUNDS_HELD_BACK = 10  # every tenth background
SAME = 0.6  # as in predict.finder, which this room does not see


@dataclass(frozen=True)
class FinderPlan:
    """What decides a finder's training.

    ``stores`` and ``val_stores``: paths of people, with how often each is drawn. ``backgrounds``: folder of photos
    without people. ``images``: scenes in all, ``batch_size`` a step. ``lr``: AdamW's, after ``warmup`` steps falling as
    a cosine to a hundredth. ``context``: see ``Scenes``. ``box_weight``: of the boxes' loss beside the centres'.
    """

    stores: dict[str, float]
    val_stores: dict[str, float]
    backgrounds: str
    images: int
    batch_size: int = 32
    lr: float = 2e-3
    warmup: int = 300
    weight_decay: float = 0.01
    clip: float = 5.0
    context: float = 0.25
    box_weight: float = 1.0
    ema_decay: float = 0.999
    checkpoint_every: int = 500
    log_every: int = 20
    seed: int = 0
    licence: str = ""
    network: FinderConfig = field(default_factory=FinderConfig)

    def __post_init__(self) -> None:
        if self.images < 1 or self.batch_size < 1 or not self.lr > 0:
            raise LiftwildError("images, batch_size and lr must be above 0")
        if not 0 <= self.context <= 1:
            raise LiftwildError(f"context must lie between 0 and 1, not {self.context}")

    @property
    def steps(self) -> int:
        """Steps in all."""
        return -(-self.images // self.batch_size)

    @property
    def stage(self) -> Stage:
        """The learning rate's plan, and the name in the log."""
        return Stage(
            name="finder", iterations=self.steps, lr=self.lr, batch_size=self.batch_size, schedule="cosine",
            lr_end=self.lr / 100, warmup=min(self.warmup, self.steps // 10), clip=self.clip,
        )  # fmt: skip


class FinderTrainer:
    """A run of a ``FinderPlan`` in the folder ``out``: checkpoints, log, found.png and, at the end, the weights."""

    def __init__(self, plan: FinderPlan, out: Path, fabric: Fabric, workers: int) -> None:
        self.plan, self.out, self.fabric, self.workers = plan, out, fabric, workers
        backgrounds = find_backgrounds(plan.backgrounds)
        held_back = backgrounds[::BACKGROUNDS_HELD_BACK]
        training = tuple(path for i, path in enumerate(backgrounds) if i % BACKGROUNDS_HELD_BACK) or held_back
        self.scenes = Scenes(
            _people(plan.stores), training, plan.batch_size, plan.network.input_px, (plan.seed,), plan.context
        )
        self.val_scenes = Scenes(
            _people(plan.val_stores), held_back, plan.batch_size, plan.network.input_px, (VAL_SEED, plan.seed), 0.0
        )
        self.data = {
            Path(path).name: {
                "use": use, "people": len(store), "fingerprint": store.fingerprint(), "weight": weight,
            }
            for use, stores in (("train", plan.stores), ("val", plan.val_stores))
            for path, weight in stores.items()
            for store in [Store(path)]
        }  # fmt: skip
        self.data["backgrounds"] = {"photos": len(backgrounds), "held back": len(held_back)}
        torch.manual_seed(plan.seed)
        self.net = FinderNet(plan.network)
        self.net.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stubs
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.metrics: dict[str, float] = {}
        self.steps, self.stopped = 0, False

    def run(self, resume: bool = False, stop_after: int | None = None, until: float | None = None) -> None:
        """Train to the end, or for ``stop_after`` more steps, or until ``time.monotonic()`` is ``until``.

        Where it ends early a checkpoint is left, and ``stopped`` is true. LiftwildError if the folder holds another
        run, or one that is not to be resumed.
        """
        plan, stage = self.plan, self.plan.stage
        optimizer: Any = torch.optim.AdamW(self.net.parameters(), plan.lr, weight_decay=plan.weight_decay, fused=True)
        self._begin(optimizer, resume)
        last = None if stop_after is None else self.steps + stop_after
        model, optimizer = self.fabric.setup(self.net, optimizer)
        with Monitor(self.out, plan.steps, self.steps, plan.log_every, True) as monitor:
            for batch in self._batches(self.scenes, self.steps, plan.steps):
                self.net.train()
                rate = stage.lr_at(self.steps)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                losses = self._losses(model, batch)
                total = losses["centres"] + plan.box_weight * losses["boxes"]
                if not torch.isfinite(total):
                    raise LiftwildError(
                        f"the loss is not a number at step {self.steps}; the last checkpoint is from before, a lower "
                        "--lr often helps"
                    )
                optimizer.zero_grad(set_to_none=True)
                self.fabric.backward(total)
                self.fabric.clip_gradients(model, optimizer, max_norm=plan.clip, error_if_nonfinite=False)
                optimizer.step()
                self.steps += 1
                follow(self.average, self.net, plan.ema_decay, self.steps)
                shown = {"loss": total.detach(), **{name: loss.detach() for name, loss in losses.items()}}
                monitor.step(stage, self.steps, plan.batch_size, shown, rate)
                late = self.steps == last or (until is not None and time.monotonic() >= until)
                self.stopped = late and self.steps < plan.steps
                if self.stopped or self.steps % plan.checkpoint_every == 0 or self.steps == plan.steps:
                    self._checkpoint(monitor, optimizer, measure=not self.stopped)
                if self.stopped:
                    return
        self._export()

    def _begin(self, optimizer: torch.optim.Optimizer, resume: bool) -> None:
        """Take up the last checkpoint, if there is one and that is asked for."""
        found = checkpoints.checkpoints(self.out / "checkpoints")
        if found and not resume:
            raise LiftwildError(f"{self.out} holds a run already; go on with --resume, or choose another --out")
        if not found:
            return
        state = checkpoints.read_state(found[-1])
        if state.get("plan") != asdict(self.plan) or state.get("data") != self.data:
            raise LiftwildError(f"{self.out} was begun with other settings or stores; train into another --out")
        checkpoints.load_net(found[-1], self.net)
        checkpoints.load_net(found[-1], self.average, checkpoints.AVERAGE)
        checkpoints.load_optimizer(found[-1], self.net, optimizer)
        self.steps, self.metrics = state["step"], state["metrics"]

    def _batches(self, scenes: Scenes, first: int, stop: int) -> Iterator[dict[str, torch.Tensor]]:
        loader = DataLoader(
            scenes, batch_size=None, sampler=range(first, stop), num_workers=self.workers, worker_init_fn=worker_init,
            prefetch_factor=4 if self.workers else None,
        )  # fmt: skip
        for batch in loader:
            yield {name: value.to(self.fabric.device, non_blocking=True) for name, value in batch.items()}

    def _losses(self, model: Any, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        images = batch["images"].to(memory_format=torch.channels_last)
        maps = model(images)
        size = images.shape[-1] // STRIDE
        target = draw_people(batch["boxes"], batch["valid"], size, size)
        centres, boxes = finder_losses(maps, target, batch["weight"])
        return {"centres": centres, "boxes": boxes}

    def _checkpoint(self, monitor: Monitor, optimizer: Any, measure: bool) -> None:
        if measure:
            self.metrics, picture = self.measure()
            self.metrics["step"] = self.steps
            monitor.scores("val", self.metrics, self.steps)
            cv2.imwrite(str(self.out / "found.png"), picture)
        raw = getattr(optimizer, "optimizer", optimizer)
        state = {"plan": asdict(self.plan), "data": self.data, "metrics": self.metrics}
        checkpoints.save_checkpoint(self.out / "checkpoints", self.steps, self.net, raw, state, self.average)

    @torch.no_grad()
    def measure(self) -> tuple[dict[str, float], np.ndarray]:
        """Scores of the average on scenes of people and backgrounds held back, and some of them drawn (H, W, 3) BGR.

        ``ap``: average precision at IoU 0.5; ``threshold``: where F1 is best; ``recall`` and ``precision`` there. All
        but the threshold in percent.
        """
        judged: list[Matched] = []
        tiles: list[np.ndarray] = []
        for batch in self._batches(self.val_scenes, 0, -(-VAL_SCENES // self.plan.batch_size)):
            with self.fabric.autocast():
                maps = self.average(batch["images"].to(memory_format=torch.channels_last))
            boxes, scores = (part.cpu().numpy().astype(np.float64) for part in read_people(maps))
            for i in range(len(boxes)):
                kept = [k for k in suppress(boxes[i], scores[i], SAME) if scores[i][k] >= 0.02]
                true = batch["boxes"][i][batch["valid"][i]].cpu().numpy()
                unsure = _in_unknown(boxes[i][kept], batch["weight"][i].cpu().numpy())
                one = match(boxes[i][kept], scores[i][kept], true, np.ones(len(true), bool), ignored=unsure)
                judged.append(one)
                if len(tiles) < 24:
                    image = batch["images"][i].permute(1, 2, 0).cpu().numpy()
                    tiles.append(_drawn(image, true, boxes[i][kept], scores[i][kept]))
        all_of = Matched.together(judged)
        threshold = all_of.best_threshold()
        recall, precision = all_of.at(threshold)
        scores_now = {
            "ap": 100 * all_of.average_precision(), "recall": 100 * recall, "precision": 100 * precision,
            "threshold": threshold,
        }  # fmt: skip
        rows = [np.hstack(tiles[k : k + 8]) for k in range(0, len(tiles) - len(tiles) % 8, 8)] or [np.hstack(tiles)]
        return {name: round(value, 3) for name, value in scores_now.items()}, np.vstack(rows)

    def _export(self) -> None:
        """Write finder.safetensors and its json."""
        plan = {name: value for name, value in asdict(self.plan).items() if name not in ("network", "licence")}
        card = {
            "name": "finder",
            "licence": self.plan.licence,
            "threshold": self.metrics["threshold"],
            "made": time.strftime("%Y-%m-%d"),
            "step": self.steps,
            "metrics": self.metrics,
            "data": self.data,
            "plan": {
                **plan,
                "stores": {Path(path).name: weight for path, weight in self.plan.stores.items()},
                "val_stores": {Path(path).name: weight for path, weight in self.plan.val_stores.items()},
                "backgrounds": Path(self.plan.backgrounds).name,
            },
            "versions": {"liftwild": __version__, "python": platform.python_version()}
            | {name: importlib.metadata.version(name) for name in ("torch", "numpy", "opencv-python-headless")},
            "precision": str(self.fabric.strategy.precision.precision),
        }
        save_finder(self.out / "finder.safetensors", self.average, card)


def train_finder(
    plan: FinderPlan, out: Path, *, resume: bool = False, precision: str = "auto", accelerator: str = "auto",
    workers: int = 1, stop_after: int | None = None, minutes: float | None = None,
) -> FinderTrainer:  # fmt: skip
    """Train a finder as ``plan`` says in the folder ``out``, from the start or (``resume``) from its last checkpoint.

    ``precision``, ``accelerator``, ``workers``, ``stop_after`` and ``minutes``: as in ``training.run.train``. Returns
    the trainer. LiftwildError for stores, backgrounds or a folder that will not do.
    """
    until = None if minutes is None else time.monotonic() + 60 * minutes
    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision_for(precision, accelerator))  # type: ignore[arg-type]
    fabric.launch()
    trainer = FinderTrainer(plan, out, fabric, workers)
    trainer.run(resume, stop_after, until)
    return trainer


def _people(stores: dict[str, float]) -> People:
    return People(tuple(Store(path) for path in stores), tuple(stores.values()))


def _in_unknown(boxes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Those of ``boxes`` whose middle lies where nobody knows who is there."""
    middle = ((boxes[:, :2] + boxes[:, 2:] / 2) / STRIDE).astype(int).clip(0, len(weight) - 1)
    return boxes[weight[middle[:, 1], middle[:, 0]] == 0]


def _drawn(image: np.ndarray, true: np.ndarray, found: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """A scene (S, S, 3) BGR with labelled boxes in white and the found ones, the surer the redder."""
    out = np.ascontiguousarray(image[..., ::-1])
    rows = [(box, (255, 255, 255), 1) for box in true]
    rows += [(b, (0, int(255 * (1 - s)), 255), 2) for b, s in zip(found, scores, strict=True) if s >= 0.2]
    for (x, y, w, h), colour, width in rows:
        cv2.rectangle(out, (int(x), int(y)), (int(x + w), int(y + h)), colour, width)
    return out
