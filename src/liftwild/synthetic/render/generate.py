"""Rendered people, one after the other: the generator behind ``liftwild render``.

Sample ``i`` depends on (mode, seed, split, size, backdrops, poses, i) alone. A batch always has ``batch_size`` samples
and one thread, so on CPU no pixel depends on how many samples are asked for, nor on the number of processes.
"""

from __future__ import annotations

import multiprocessing
import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from liftwild.camera import Camera
from liftwild.errors import LiftwildError
from liftwild.processes import start_worker, without_ctrl_c
from liftwild.sample import Sample
from liftwild.synthetic.body.body import load_body
from liftwild.synthetic.mocap.motion import read_motion, retarget, spread_frames
from liftwild.synthetic.render import world
from liftwild.synthetic.render.backdrop_images import find_backdrops
from liftwild.synthetic.render.world import MODES, SPLITS, RenderConfig

CPU_BATCH, GPU_BATCH = 8, 64  # of pictures up to _BATCH_PX; fewer larger ones
_BATCH_PX = 256
SIZE_RANGE_PX = (64, 1024, 32)  # smallest, largest, step
MAX_POSES = 20_000  # captured poses that are kept, from all clips alike
TEST_EVERY = 5  # of captured clips, or of the parts of a single one


@dataclass(frozen=True, eq=False)
class RenderedSample:
    """A rendered person, and labels that only a renderer knows.

    ``sample``: picture and labels; its ``joints_2d_valid`` are the joints inside the picture. ``visible`` (16,) bool:
    inside and not hidden, by the z-buffer. ``mask`` (H, W) bool: the person's pixels. ``seed`` and ``index`` render it
    again. ``subject``: 1 to 7 in ``lab``, 0 in ``wild``.
    """

    sample: Sample
    visible: np.ndarray
    mask: np.ndarray
    seed: int
    index: int
    subject: int


def render_config(
    mode: str, seed: int = 0, *, split: str = "train", size: int = 256, backdrops: str | Path | None = None,
    device: str = "cpu",
) -> RenderConfig:  # fmt: skip
    """What ``render_people`` renders, but for captured poses; LiftwildError if one of these cannot be."""
    smallest, largest, step = SIZE_RANGE_PX
    if mode not in MODES:
        raise LiftwildError(f"there is no mode {mode!r}; modes are {' and '.join(MODES)}")
    if split not in SPLITS:
        raise LiftwildError(f"there is no split {split!r}; splits are {' and '.join(SPLITS)}")
    if seed < 0:
        raise LiftwildError(f"the seed must be 0 or more, not {seed}")
    if not smallest <= size <= largest or size % step:
        raise LiftwildError(f"a picture of {size} px cannot be rendered; sizes are {smallest} to {largest} px in steps "
                            f"of {step}")  # fmt: skip
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise LiftwildError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from None
    return RenderConfig(mode, seed, split, size, () if backdrops is None else find_backdrops(backdrops), device)


def batch_size(size: int, device: str) -> int:
    """How many pictures of ``size`` px are rendered at a time."""
    most = CPU_BATCH if device == "cpu" else GPU_BATCH
    return max(1, min(most, most * _BATCH_PX**2 // size**2))


def captured_poses(path: str | Path, split: str) -> np.ndarray:
    """Poses (M, bones, 3, 3) of the motion files at ``path``; every fifth clip, or stretch of a single one, is the
    test split's.

    LiftwildError if nothing readable is there, or too little to split.
    """
    body = load_body()
    clips = []
    for motion in read_motion(path):
        frames = spread_frames(motion)
        clips.append(retarget(motion, body.names, body.parents, body.heads.numpy(), frames))
    parts = clips if len(clips) >= TEST_EVERY else [p for clip in clips for p in np.array_split(clip, TEST_EVERY)]
    for_test = np.arange(len(parts)) % TEST_EVERY == TEST_EVERY - 1
    chosen = [part for part, test in zip(parts, for_test, strict=True) if test == (split == "test") and len(part)]
    if not chosen:
        raise LiftwildError(f"{path}: too few different poses for a {split} split of their own")
    poses = np.concatenate(chosen)
    return poses[:: -(-len(poses) // MAX_POSES)]


def render_people(
    mode: str, n: int, seed: int = 0, *, split: str = "train", size: int = 256,
    backdrops: str | Path | None = None, poses: str | Path | None = None, processes: int = 1, device: str = "cpu",
    batch: int | None = None,
) -> Generator[RenderedSample, None, None]:  # fmt: skip
    """``n`` rendered people, in order.

    ``mode`` "lab" or "wild"; ``split`` "train" or "test"; ``size`` px of the square pictures; ``backdrops``: a folder
    of photos for ``wild``; ``poses``: a motion file or a folder of them instead of the built-in poses. With more than
    one of ``processes`` (CPU only) others are started, so a script that calls this needs the usual
    ``if __name__ == "__main__"``. ``batch``: how many at a time, 1 or more; the last bit of a picture may depend on it.

    Memory is bounded by the batches under way. LiftwildError if the input makes no sense.
    """
    if n < 1:
        raise LiftwildError(f"{n} pictures cannot be rendered; ask for 1 or more")
    config = render_config(mode, seed, split=split, size=size, backdrops=backdrops, device=device)
    captured = captured_poses(poses, split) if poses is not None else None
    at_once = batch or batch_size(size, device)
    starts = range(0, n, at_once)
    chunks = (list(range(start, start + at_once)) for start in starts)
    many = device == "cpu" and min(processes, len(starts)) > 1
    return _counted(
        _by_processes(config, chunks, captured, processes) if many else render_chunks(config, chunks, captured), n
    )


def _counted(batches: Generator[list[RenderedSample], None, None], n: int) -> Generator[RenderedSample, None, None]:
    """The first ``n`` samples of ``batches``, which are closed with it."""
    done = 0
    with closing(batches):
        for samples in batches:
            yield from samples[: n - done]
            done += len(samples)


def render_chunks(
    config: RenderConfig, chunks: Iterable[list[int]], captured: np.ndarray | None = None
) -> Generator[list[RenderedSample], None, None]:
    """The samples of each of ``chunks``, lists of indices, by this process; ``captured`` as in ``captured_poses``."""
    poses = None if captured is None else torch.from_numpy(captured).to(config.device)
    for chunk in chunks:
        threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        try:
            samples = render_samples(config, chunk, poses)
        finally:
            torch.set_num_threads(threads)
            cv2.setNumThreads(cv_threads)
        yield samples


_worker: Callable[[list[int]], list[RenderedSample]] | None = None


def _start_worker(config: RenderConfig, captured: np.ndarray | None) -> None:
    """Set up a rendering process."""
    global _worker
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    poses = None if captured is None else torch.from_numpy(captured)
    _worker = lambda chunk: render_samples(config, chunk, poses)  # noqa: E731


def _in_worker(chunk: list[int]) -> list[RenderedSample]:
    assert _worker is not None
    return _worker(chunk)


def _by_processes(
    config: RenderConfig, chunks: Iterator[list[int]], captured: np.ndarray | None, processes: int
) -> Generator[list[RenderedSample], None, None]:
    """Batches in order; no more are under way than keep every process busy."""
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, start_worker, (pickle.dumps((_start_worker, (config, captured))),))
    waiting: deque[Future[list[RenderedSample]]] = deque()
    try:
        for chunk in chunks:
            with without_ctrl_c():  # the pool starts processes as they are wanted
                waiting.append(pool.submit(_in_worker, chunk))
            if len(waiting) > processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise LiftwildError("a rendering process was ended from outside; is there memory for --processes?") from None
    except BaseException:  # Ctrl-C, or the caller wants no more samples
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in set(multiprocessing.active_children()) - before:
            worker.kill()
        raise
    pool.shutdown()


def render_samples(
    config: RenderConfig, indices: Sequence[int], poses: torch.Tensor | None = None
) -> list[RenderedSample]:
    """The samples ``indices`` of ``config`` as one batch; ``poses`` as ``world.render_batch`` takes them."""
    pictures, labels = world.render_batch(config, indices, poses)
    images = pictures.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    fields = {name: value.cpu().numpy() for name, value in vars(labels).items()}
    subjects = config.subjects(indices)
    out = []
    for row, index in enumerate(indices):
        joints_2d, joints_3d, size = fields["joints_2d"][row], fields["joints_3d"][row], config.size
        focal, (cx, cy) = float(fields["focal"][row]), fields["centre"][row]
        x, y, w, h = (float(value) for value in fields["box"][row])
        name = f"{config.mode}-{config.split}-seed{config.seed}-{index:06d}"
        sample = Sample(
            image=images[row], joints_2d=joints_2d, joints_2d_valid=((joints_2d >= 0) & (joints_2d < size)).all(-1),
            joints_3d=joints_3d, depth_valid=np.ones(len(joints_3d), dtype=bool),
            camera=Camera(focal, focal, float(cx), float(cy)), box=(x, y, w, h), source=name, annotation_id=index,
            visibility=np.where(fields["visible"][row], 2, 1).astype(np.uint8),
        )  # fmt: skip
        visible, mask = fields["visible"][row], fields["mask"][row]
        out.append(RenderedSample(sample, visible, mask, config.seed, index, subjects[row]))
    return out
