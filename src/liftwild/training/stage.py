"""A stage of training: what is trained, for how long, on which images, by which losses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from liftwild.network.posenet import PoseNetConfig
from liftwild.schema import Between, FileName, check_fields

MAX_STEPS = 10**9
MAX_BATCH_BYTES = 16e9  # of pictures and heatmaps; layers take several times as much
Share = Annotated[float, Between(0, 1)]
Weight = Annotated[float, Between(0, 1e6)]


@dataclass(frozen=True)
class Stage:
    """One row of the training plan. Defaults are the paper's where it has them.

    - ``iterations`` of ``batch_size`` images; a row of a recipe may give the number of ``images`` instead.
    - ``ratio_3d``: share of images with 3D labels. ``input_px``: 0 is the network's own; smaller only without depth.
    - ``lr`` by ``schedule``: constant, step (to ``lr_end`` at ``drop_at`` of the iterations) or cosine (to ``lr_end``),
      after ``warmup`` iterations of linear rise.
    - ``heatmap_weight``, ``depth_weight``, ``geometric_weight``: of the losses; the geometric one is of the images of
      ``geometric_on``. ``place_weight``, ``presence_weight``: of a lifter's joints, and of whether they are in the
      photo and visible.
    - ``sigma``: of the target Gaussians, heatmap px, moving to ``sigma_end`` over the stage (0: stays).
    - ``foreground_weight``: of ``losses.heatmap_loss``; not for a network with ``softmax``.
    - ``side_noise``: share of 2D labels taken to have left and right exchanged (``losses.side_doubt``); only for a
      network with ``softmax``.
    - ``depth_clamp``: depth targets are cut to [-depth_clamp, depth_clamp] (0: not).
    - ``train``: all; ``depth`` (the depth module and lifter); ``lifter`` (on poses without pictures); ``heads`` (all
      but MoveNet); ``last`` (these and MoveNet's ``last_blocks`` last blocks). In an hourglass the last two mean all.
    - ``pretrained_lr``: share of ``lr`` for MoveNet and, unless it is trained alone, the lifter. ``transferred_lr``: of
      an hourglass, the share for all but the depth module, which stage 1 trained on photos (1: the paper's).
    - ``pretrained_share``: of the target of MoveNet's own joints, the part that is its own answer; only with ``heads``.
    - ``freeze_norm``: batch norm keeps its statistics and uses them. ``clip``: largest gradient norm (0: none).
    """

    name: Annotated[str, FileName()]
    iterations: Annotated[int, Between(1, MAX_STEPS)]
    lr: Annotated[float, Between(0, 1e3, above=True)]
    batch_size: Annotated[int, Between(1, 65_536)] = 6
    ratio_3d: Share = 0.5
    input_px: Annotated[int, Between(0, 2048)] = 0
    schedule: Literal["constant", "step", "cosine"] = "constant"
    lr_end: Annotated[float, Between(0, 1e3)] = 0.0
    drop_at: Share = 0.8
    warmup: Annotated[int, Between(0, MAX_STEPS)] = 0
    heatmap_weight: Weight = 1.0
    depth_weight: Weight = 0.0
    geometric_weight: Weight = 0.0
    geometric_on: Literal["2d", "3d", "all"] = "2d"
    sigma: Annotated[float, Between(0, 100, above=True)] = 1.0
    sigma_end: Annotated[float, Between(0, 100)] = 0.0
    foreground_weight: Weight = 0.0
    side_noise: Annotated[float, Between(0, 0.5)] = 0.0
    depth_clamp: Weight = 0.0
    train: Literal["all", "depth", "lifter", "heads", "last"] = "all"
    last_blocks: Annotated[int, Between(1, 100)] = 4
    pretrained_lr: Weight = 1.0
    transferred_lr: Weight = 1.0
    place_weight: Weight = 0.0
    presence_weight: Weight = 0.0
    pretrained_share: Share = 0.0
    freeze_norm: bool = False
    clip: Weight = 0.0
    images: Annotated[int, Between(0, 1e12)] = 0

    @property
    def with_depth(self) -> bool:
        """Whether the depth module runs in this stage."""
        weights = (self.depth_weight, self.geometric_weight, self.place_weight, self.presence_weight)
        return self.train == "lifter" or max(weights) > 0

    def lr_at(self, step: int) -> float:
        """Learning rate of step ``step`` (from 0) of this stage."""
        if step < self.warmup:
            return self.lr * (step + 1) / (self.warmup + 1)
        done = (step - self.warmup) / max(1, self.iterations - self.warmup)
        if self.schedule == "cosine":
            return self.lr_end + (self.lr - self.lr_end) * 0.5 * (1 + math.cos(math.pi * done))
        if self.schedule == "step" and step >= self.drop_at * self.iterations:
            return self.lr_end
        return self.lr

    def heatmap_sigma_px(self, step: int) -> float:
        """Sigma of the target Gaussians in step ``step`` (from 0) of this stage, heatmap px."""
        return self.sigma + ((self.sigma_end or self.sigma) - self.sigma) * step / max(1, self.iterations - 1)

    def batch_bytes(self, network: PoseNetConfig) -> float:
        """Bytes of a batch of pictures and heatmaps, fp32; 0 for a lifter, whose poses are small."""
        side = self.input_px or network.input_px
        return 0 if self.train == "lifter" else self.batch_size * 4 * (3 + network.joints / 16) * side**2

    def check(self, network: PoseNetConfig, uses: set[str]) -> None:
        """ValueError if a value is out of range, or if ``network`` or stores of these ``uses`` cannot train so."""
        check_fields(self)
        if self.pretrained_share and self.train != "heads":
            raise ValueError("pretrained_share must be 0 unless train = heads")
        if self.batch_bytes(network) > MAX_BATCH_BYTES:
            raise ValueError(
                f"a batch of {self.batch_size:,} takes {self.batch_bytes(network) / 1e9:.1f} GB, more than "
                f"{MAX_BATCH_BYTES / 1e9:g}: make batch_size smaller"
            )
        if self.transferred_lr != 1 and network.subnetwork != "hourglass":
            raise ValueError("transferred_lr is for an hourglass; a MobileNet has pretrained_lr")
        if self.train == "lifter":
            if "poses" not in uses or not network.lifter:
                raise ValueError("train = lifter, but no store has use = poses, or the network has no lifter")
            return
        if network.softmax and self.foreground_weight:
            raise ValueError("foreground_weight is for squared error, and network.softmax is on")
        if self.side_noise and not network.softmax:
            raise ValueError("side_noise must be 0 without network.softmax")
        if self.schedule == "step" and self.lr_end <= 0:
            raise ValueError("schedule step needs lr_end above 0")
        input_px = self.input_px or network.input_px
        if input_px % 64 or (self.with_depth and input_px != network.input_px):
            raise ValueError(
                f"input_px must be a multiple of 64, and the network's own ({network.input_px}) once depth is trained"
            )
        if self.train == "depth" and not self.with_depth:
            raise ValueError("train = depth, but no depth or geometric weight")
        if self.ratio_3d > 0 and "3d" not in uses:
            raise ValueError(f"ratio_3d is {self.ratio_3d}, but no store has use = 3d")
        if self.ratio_3d < 1 and "2d" not in uses:
            raise ValueError(f"ratio_3d is {self.ratio_3d}, but no store has use = 2d")
