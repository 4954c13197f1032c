"""Poses without pictures: joints of procedural people, or of motion capture, for training a lifter by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from liftwild.errors import LiftwildError, reason_of
from liftwild.files import check_output, make_folder, write_whole
from liftwild.skeleton import MPII_16, PELVIS
from liftwild.synthetic.body.body import Body, load_body
from liftwild.synthetic.mocap.motion import Motion, motion_files, read_clip, retarget, spread_frames
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
    in_air = poses.contacts(family) == crowd.AIR
    air = torch.where(in_air, rng.unit() ** 2 * crowd.MAX_AIR_M, torch.zeros(count))
    return _joints(body, heads, top, rotations, air)


@torch.inference_mode()
def captured_joints(body: Body, motion: Motion, seed: tuple[int, ...]) -> np.ndarray:
    """Joints (K, 16, 3) in m of the frames of ``motion`` that differ, each on a body of its own; as ``sample_joints``
    has them, but facing where the clip does, and on the ground in every frame."""
    rotations = retarget(motion, body.names, body.parents, body.heads.numpy(), spread_frames(motion))
    rng = SampleRng.from_seeds([(*seed, row) for row in range(len(rotations))], 64, body.device)
    heads, top = body.heads_at_rest(body.coefficients[body.sample(rng)])
    return _joints(body, heads, top, torch.from_numpy(rotations), torch.zeros(len(rotations)))


def _joints(body: Body, heads: Tensor, top: Tensor, rotations: Tensor, air: Tensor) -> np.ndarray:
    """Joints (B, 16, 3) of bodies in poses, ``air`` m (B,) above the ground, the pelvis above the origin."""
    posed = body.pose_heads(heads, rotations)
    joints = body.joints(heads, posed, body.transforms(heads, posed, rotations), top)
    joints[..., 2] += (air - posed[..., 2].amin(1))[:, None]
    joints[..., :2] -= joints[:, PELVIS, None, :2].clone()
    return joints.numpy()


def write_poses(
    path: str | Path, count: int, seed: int, progress: Callable[[Iterable[int]], Iterable[int]] = iter
) -> None:
    """Write ``count`` procedural poses, (count, 16, 3) float16 in m, as the .npy file ``path``, whole or not at all."""
    body = load_body()
    with _one_thread():
        parts = [
            sample_joints(body, _BATCH, "wild" if number % LAB_EVERY else "lab", (seed, number))
            for number in progress(range(-(-count // _BATCH)))
        ]
    _write(path, np.concatenate(parts)[:count])


def write_captured_poses(
    path: str | Path, sources: Sequence[Path], seed: int = 0, progress: Callable[[list[Path]], Iterable[Path]] = iter
) -> tuple[int, list[str]]:
    """Write the poses of motion capture as ``write_poses`` does: how many differ, and why files were left out.

    ``sources``: .bvh files, .amc files with their .asf, or folders of them. LiftwildError if none can be used, or if
    ``path`` holds anything but poses.
    """
    check_output(Path(path), _holds_poses)
    body = load_body()
    files = [file for source in sources for file in motion_files(source)]
    parts, faults = [], []
    with _one_thread():
        for number, file in enumerate(progress(files)):
            try:
                parts.append(captured_joints(body, read_clip(file), (seed, number)))
            except LiftwildError as error:
                faults.append(str(error))
    if not parts:
        raise LiftwildError(faults[0] + (f" (and {len(faults) - 1} more files)" if faults[1:] else ""))
    found = np.concatenate(parts)
    _write(path, found)
    return len(found), faults


@contextmanager
def _one_thread() -> Iterator[None]:
    """Small matrices are quicker in one thread, and the same on every machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _write(path: str | Path, joints: np.ndarray) -> None:
    content = BytesIO()
    np.save(content, joints.astype(np.float16), allow_pickle=False)
    make_folder(Path(path).parent)
    write_whole(path, content.getvalue())


def _holds_poses(path: Path) -> bool:
    try:
        return len(read_poses(path)) > 0
    except LiftwildError:
        return False


def read_poses(path: str | Path) -> np.ndarray:
    """The poses (N, 16, 3) float16 of a .npy file; LiftwildError if the file holds anything else."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise LiftwildError(f"no poses {path}") from None
    except Exception as error:  # numpy raises whatever a broken header leads it to
        raise LiftwildError(f"{path} does not hold poses: {reason_of(error)}") from None
    if not isinstance(found, np.ndarray):  # an archive of arrays
        raise LiftwildError(f"{path} holds several arrays, not poses")
    if found.ndim != 3 or found.shape[1:] != (len(MPII_16), 3) or found.dtype != np.float16 or not len(found):
        raise LiftwildError(f"{path} holds {found.dtype} of {found.shape}, not poses (N, {len(MPII_16)}, 3) of float16")
    return found
