"""Poses without pictures: joints of procedural people, or of motion capture, for training a lifter by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from liftwild.errors import LiftwildError
from liftwild.files import write_whole
from liftwild.skeleton import MPII_16, PELVIS
from liftwild.synthetic.body.body import Body, load_body
from liftwild.synthetic.poses import poses, settle
from liftwild.synthetic.render import crowd
from liftwild.synthetic.sample_rng import SampleRng

_BATCH = 256
LAB_EVERY = 4  # every fourth batch holds poses of ``lab``


@torch.inference_mode()
def sample_joints(body: Body, count: int, mode: str, seed: tuple[int, ...]) -> np.ndarray:
    """Joints (count, 16, 3) of procedural people in m: z up, the ground at 0, the pelvis above the origin, facing -y.

    ``mode`` "lab" or "wild": the kinds of poses. The same ``seed`` gives the same joints.
    """
    columns = settle.TRIES * poses.POSE_COLUMNS + 64
    rng = SampleRng.from_seeds([(*seed, row) for row in range(count)], columns, body.device)
    coefficients = body.coefficients[body.sample(rng)]
    heads, top = body.heads_at_rest(coefficients)
    family = poses.sample_families(rng, mode)
    rotations = settle.sample_settled_poses(body, rng, family, heads)
    posed = body.pose_heads(heads, rotations)
    joints = body.joints(heads, posed, body.transforms(heads, posed, rotations), top)
    in_air = poses.contacts(family) == crowd.AIR
    lift = torch.where(in_air, rng.unit() ** 2 * crowd.MAX_AIR_M, torch.zeros(count)) - posed[..., 2].amin(1)
    joints[..., 2] += lift[:, None]
    joints[..., :2] -= joints[:, PELVIS, None, :2].clone()
    return joints.numpy()


def write_poses(
    path: str | Path, count: int, seed: int, progress: Callable[[Iterable[int]], Iterable[int]] = iter
) -> None:
    """Write ``count`` procedural poses, (count, 16, 3) float16 in m, as the .npy file ``path``, whole or not at all."""
    path, body = Path(path), load_body()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        parts = [
            sample_joints(body, _BATCH, "wild" if number % LAB_EVERY else "lab", (seed, number))
            for number in progress(range(-(-count // _BATCH)))
        ]
    finally:
        torch.set_num_threads(threads)
    content = BytesIO()
    np.save(content, np.concatenate(parts)[:count].astype(np.float16), allow_pickle=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content.getvalue())


def read_poses(path: str | Path) -> np.ndarray:
    """The poses (N, 16, 3) float16 of a .npy file; LiftwildError if the file holds anything else."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise LiftwildError(f"no poses {path}") from None
    except (OSError, ValueError) as error:
        raise LiftwildError(f"{path} does not hold poses: {error}") from None
    if found.ndim != 3 or found.shape[1:] != (len(MPII_16), 3) or found.dtype != np.float16 or not len(found):
        raise LiftwildError(f"{path} holds {found.dtype} of {found.shape}, not poses (N, {len(MPII_16)}, 3) of float16")
    return found
