"""A stage that trains the lifter alone, on poses without pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from liftwild.synthetic.poses.pose_bank import read_poses
from liftwild.synthetic.poses.pose_views import sample_views
from liftwild.training import checkpoint as checkpoints
from liftwild.training.monitor import Monitor
from liftwild.training.objective import lifter_loss
from liftwild.training.optimizer import make_optimizer

if TYPE_CHECKING:
    from liftwild.training.loop import Trainer


def train_lifter(trainer: Trainer, index: int, first: int, resume: Path | None, monitor: Monitor) -> None:
    """Train stage ``index`` of ``trainer`` from its step ``first``; every process computes the same."""
    recipe, net = trainer.recipe, trainer.net
    stage = recipe.stages[index]
    poses = np.concatenate([read_poses(path) for path in trainer.poses.values()])
    raw = make_optimizer(net, recipe.optimizer, stage)
    if resume is not None and first > 0:
        checkpoints.load_optimizer(resume, net, raw)
    optimizer = cast(Any, trainer.fabric.setup_optimizers(raw))
    for step in range(first, stage.iterations):
        for group in optimizer.param_groups:
            group["lr"] = stage.lr_at(step) * group["share"]
        seed = np.random.SeedSequence([recipe.seed, index, step]).generate_state(1)[0]
        rng = torch.Generator().manual_seed(int(seed))
        chosen = torch.randint(len(poses), (stage.batch_size,), generator=rng).numpy()
        view = sample_views(torch.from_numpy(poses[chosen].astype(np.float32)), rng)
        loss, report = lifter_loss(net.lifter, view)
        trainer.optimizer_step(net, optimizer, loss, stage)
        monitor.step(stage, trainer.steps, stage.batch_size, report, stage.lr_at(step))
        at_end = step + 1 == stage.iterations
        trainer.stopped = trainer.steps < recipe.steps and trainer.must_stop()
        if trainer.due(recipe.checkpoint_every, at_end or trainer.stopped):
            trainer.save_checkpoint(checkpoints.Position(index, step + 1, trainer.steps), optimizer)
        if trainer.stopped:
            break
