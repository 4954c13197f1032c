"""Run a network on labelled people as ``predict`` would: predictions beside labels, in memory."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from liftwild.camera import pose_mm
from liftwild.crop import BOX_MARGIN, Crop, blackened, grown
from liftwild.data.augment import view
from liftwild.inference.torch_runtime import infer
from liftwild.network.posenet import PoseNet
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16, PELVIS

if TYPE_CHECKING:
    from tqdm import tqdm

    from liftwild.data.store import Store

Watch = Callable[[Iterable[Sample]], Iterable[Sample]]


@dataclass(frozen=True, eq=False)
class Measured:
    """Predictions and labels of N people, J joints, in px of the network's input and mm of camera space.

    ``pred_2d`` (N, J, 2), ``confidence`` (N, J), ``pred_depth`` (N, J) in the [-1, 1] unit; ``true_2d``, ``valid_2d``,
    ``true_3d`` (N, J, 3), ``valid_3d``; ``input_px``; ``sum_length_mm``, ``bone_length_mm`` as in ``camera.pose_mm``.
    Of a network with a lifter ``depth_spread``, ``inside`` and ``visible`` (N, J) as in ``Decoded``; ``presence``
    (N, J) as in ``Sample``; ``spine_3d`` (N, 3) as there, NaN where it is None.
    """

    pred_2d: np.ndarray
    confidence: np.ndarray
    pred_depth: np.ndarray
    true_2d: np.ndarray
    valid_2d: np.ndarray
    true_3d: np.ndarray
    valid_3d: np.ndarray
    input_px: int
    sum_length_mm: float
    bone_length_mm: np.ndarray | None = None
    depth_spread: np.ndarray | None = None
    inside: np.ndarray | None = None
    visible: np.ndarray | None = None
    presence: np.ndarray | None = None
    spine_3d: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pred_2d)

    @property
    def pred_3d(self) -> np.ndarray:
        """Poses (N, J, 3) in mm, pelvis at 0, as ``predict`` gives them."""
        return self._posed()[0]

    @property
    def mm_per_unit(self) -> np.ndarray:
        """How many mm a unit of depth is, (N,)."""
        return self._posed()[1]

    def _posed(self) -> tuple[np.ndarray, np.ndarray]:
        return pose_mm(
            self.pred_2d, self.pred_depth, self.input_px, self.sum_length_mm, PELVIS, self.bone_length_mm, self.inside
        )

    @classmethod
    def joined(cls, parts: Sequence[Measured]) -> Measured:
        """The people of several as one, all of one network; what only some of the parts have is left out."""
        shared = ("input_px", "sum_length_mm", "bone_length_mm")
        arrays: dict[str, Any] = {}
        for name in (item.name for item in dataclasses.fields(cls) if item.name not in shared):
            columns = [getattr(part, name) for part in parts]
            arrays[name] = None if any(column is None for column in columns) else np.concatenate(columns)
        return cls(**arrays, **{name: getattr(parts[0], name) for name in shared})


def network_view(sample: Sample, input_px: int, mask: float = 0.0) -> Sample:
    """A stored sample as ``predict`` would show it to the network: the square around its box, nothing varied; ``mask``
    as in ``PoseNetConfig``."""
    if mask > 0:
        sample = dataclasses.replace(sample, image=blackened(sample.image, grown(sample.box, mask)))
    return view(sample, Crop.around(sample.box, BOX_MARGIN), input_px)


@torch.inference_mode()
def run(
    net: PoseNet,
    samples: Iterable[Sample],
    sum_length_mm: float,
    batch_size: int = 32,
    flip_test: bool = False,
    input_px: int = 0,
    bone_length_mm: np.ndarray | None = None,
) -> Measured:
    """Predict every sample with ``net`` (in evaluation mode, on its device). ``flip_test``: mean with the mirrored.

    ``input_px``: another input than the network's own (0); its depth module cannot run then, and every depth is 0.
    ``sum_length_mm``, ``bone_length_mm``: as in ``Measured``. ValueError if there are no samples.
    """
    input_px = input_px or net.config.input_px
    with_depth = input_px == net.config.input_px
    device = next(net.parameters()).device
    seen: list[Sample] = []
    joints, peaks, depths = [], [], []
    more: dict[str, list[np.ndarray]] = {"depth_spread": [], "inside": [], "visible": []}

    def forward(pending: Sequence[Sample]) -> None:
        pixels = torch.from_numpy(np.stack([sample.image for sample in pending])).permute(0, 3, 1, 2).to(device)
        found = infer(net, pixels, flip_test, with_depth)
        joints.append(found.joints_2d)
        peaks.append(found.peaks)
        depths.append(np.zeros_like(found.peaks) if found.depth is None else found.depth)
        for name, parts in more.items():
            if (part := getattr(found, name)) is not None:
                parts.append(part)
        seen.extend(dataclasses.replace(sample, image=np.zeros((0, 0, 3), np.uint8)) for sample in pending)

    pending: list[Sample] = []
    for sample in samples:
        pending.append(network_view(sample, input_px, net.config.mask))
        if len(pending) == batch_size:
            forward(pending)
            pending = []
    if pending:
        forward(pending)
    if not seen:
        raise ValueError("nobody to measure on")
    return Measured(
        np.concatenate(joints), np.concatenate(peaks), np.concatenate(depths),
        **labels_of(seen), input_px=input_px, sum_length_mm=sum_length_mm, bone_length_mm=bone_length_mm,
        presence=np.stack([np.zeros(len(MPII_16), np.uint8) if s.presence is None else s.presence for s in seen]),
        **{name: np.concatenate(parts) for name, parts in more.items() if parts},
    )  # fmt: skip


def labels_of(people: Sequence[Sample]) -> dict[str, Any]:
    """The labels of ``Measured``, of people as the network sees them."""
    return {
        "true_2d": np.stack([person.joints_2d for person in people]),
        "valid_2d": np.stack([person.joints_2d_valid for person in people]),
        "true_3d": np.stack([person.joints_3d for person in people]),
        "valid_3d": np.stack([person.depth_valid for person in people]),
        "spine_3d": np.stack([np.full(3, np.nan) if p.spine_3d is None else p.spine_3d for p in people]),
    }


def rows(store: Store, most: int = 0) -> Iterable[Sample]:
    """The people of a store in order; with ``most`` above 0 that many, spread evenly over it."""
    count = len(store) if most <= 0 else min(most, len(store))
    return (store[i * len(store) // count] for i in range(count))


def counted_on(bar: tqdm) -> Watch:
    """Lets people go by and counts them on a progress bar."""

    def watch(people: Iterable[Sample]) -> Iterator[Sample]:
        for person in people:
            yield person
            bar.update()

    return watch


def in_first_half(sources: Sequence[str]) -> np.ndarray:
    """Which photos are in the first half, (N,) bool; by their names, so the same ones every time."""
    return np.array([hashlib.sha256(source.encode()).digest()[0] % 2 == 0 for source in sources], dtype=bool)
