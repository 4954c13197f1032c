"""What all readers of Human3.6M share: who and what is in it, how many frames, and one person of it as a sample.

Joints are the 17 of ``JOINTS``. The pelvis is Human3.6M's; its thorax joint lies where MPII's upper neck does, its head
top is MPII's, and MPII's thorax is the middle of the shoulders. Its jaw has no counterpart. Its spine has none either;
the authors' code scores it as the thorax, so it goes into ``Sample.spine_3d``.

Unconfirmed: all counts of frames come from other people's reports, not from the data set's own documents. 109,867
(and 2,874) is every fifth (200th) of 548,819 frames of 239 videos. A preparation that finds another number names both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from liftwild.boxes import Box, joints_box
from liftwild.camera import Camera, bone_lengths
from liftwild.crop import BOX_MARGIN
from liftwild.data.labels import Skip, labelled_sample, positions, to_mpii
from liftwild.errors import LiftwildError
from liftwild.sample import Sample
from liftwild.skeleton import H36M_17, SCALE_BONES

SUBJECTS = {"train": (1, 5, 6, 7, 8), "test": (9, 11)}
ACTIONS = {
    2: "Directions", 3: "Discussion", 4: "Eating", 5: "Greeting", 6: "Phoning", 7: "Posing", 8: "Purchases",
    9: "Sitting", 10: "SittingDown", 11: "Smoking", 12: "Photo", 13: "Waiting", 14: "Walking", 15: "WalkDog",
    16: "WalkTogether",
}  # fmt: skip
ALIASES = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}  # as some subjects' files call actions
TAKES, CAMERAS = (1, 2), (1, 2, 3, 4)
CAMERA_IDS = ("54138969", "55011271", "58860488", "60457274")
BROKEN = (11, 2, 2, 1)  # subject, action, take, camera: its poses are not those of its video
JOINTS = H36M_17.names
# Which of the 32 recorded joints are the 17 of ``JOINTS``; the others are doubles, toes, thumbs and ends.
RECORDED = 32
OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
EVERY, QUICK_EVERY = 5, 200  # 50 pictures a second become 10; of the authors' quick test
# Frames with a pose, 50 a second, of all videos of a split without the broken one, and of that one.
FRAMES, BROKEN_FRAMES = {"train": 1_559_752, "test": 548_819}, 1825
PUBLISHED_TEST = 109_867  # every fifth of them, and every 200th: the first of each video, and so on
PUBLISHED_QUICK_TEST = 2874

Key = tuple[int, int, int, int]  # subject, action, take, camera


@dataclass(frozen=True)
class H36MOptions:
    """What a preparation of Human3.6M may choose; a layout refuses what it has no use for (``refuse``).

    ``every``: take every so many of 50 pictures a second; None: of videos every fifth, else all that the layout holds.
    ``keep_broken``: S11 Directions, take 2, camera 1 too. ``boxes``: people are cut out by the box of their "joints",
    or by the "dataset"'s boxes. ``targets_2d``: 2D joints "as labelled", or "weak-perspective" as the authors' code
    makes them (``weak_perspective``). ``keypoints``: file or folder of 2D joints for the challenge, which has none.
    """

    every: int | None = None
    keep_broken: bool = False
    boxes: str = "joints"
    targets_2d: str = "labelled"
    keypoints: Path | None = None

    def refuse(self, layout: str, *unused: str) -> None:
        """LiftwildError if one of the options called ``unused`` is not at its default."""
        for field in fields(self):
            if field.name in unused and getattr(self, field.name) != field.default:
                option = f"--{field.name.replace('_', '-')}"
                raise LiftwildError(f"{option} does not apply to {layout}")

    def settings(self, source: Path, split: str) -> dict[str, object]:
        """What tells one preparation from another."""
        return {"source": str(source.resolve()), "split": split, "every": self.every, "broken": self.keep_broken,
                "boxes": self.boxes, "targets": self.targets_2d,
                "keypoints": self.keypoints and str(self.keypoints.resolve())}  # fmt: skip


AS_IT_IS = H36MOptions()


def sequences(split: str, keep_broken: bool) -> list[Key]:
    """The videos of a split."""
    keys = [(s, a, t, c) for s in SUBJECTS[split] for a in ACTIONS for t in TAKES for c in CAMERAS]
    return [key for key in keys if keep_broken or key != BROKEN]


def folder_name(key: Key) -> str:
    """What the preprocessed layouts call the folder of a video."""
    return "s_{:02d}_act_{:02d}_subact_{:02d}_ca_{:02d}".format(*key)


def published(split: str, every: int, keep_broken: bool) -> tuple[int, int]:
    """Least and most frames: the same where each video's own number of frames was counted. Unconfirmed (see above)."""
    more = -(-BROKEN_FRAMES // every) if keep_broken and split == "test" else 0
    counted = {EVERY: PUBLISHED_TEST, QUICK_EVERY: PUBLISHED_QUICK_TEST}.get(every) if split == "test" else None
    if counted is not None:
        return counted + more, counted + more
    videos = len(sequences(split, False))
    return -(-FRAMES[split] // every) + more, (FRAMES[split] + videos * (every - 1)) // every + more


def missing_videos(found: Iterable[Key], wanted: list[Key], what: str) -> list[str]:
    """A line if some videos of a split are not there."""
    there = set(found)
    lacking = [key for key in wanted if key not in there]
    if not lacking:
        return []
    s, a, t, c = lacking[0]
    return [
        f"{len(there)} of {len(wanted)} {what} are there; missing is S{s} {ACTIONS[a]} take {t} camera {c}, for one"
    ]


def whole_picture(image: np.ndarray) -> Box:
    """The box whose crop (``BOX_MARGIN`` wider) is all of a picture that was cut out already."""
    height, width = image.shape[:2]
    side = max(width, height) / BOX_MARGIN
    return (width - side) / 2, (height - side) / 2, side, side


def h36m_sample(
    image: np.ndarray,
    names: Sequence[str],
    joints_2d: np.ndarray | None,
    joints_3d: np.ndarray,
    options: H36MOptions,
    *,
    source: str,
    annotation_id: int,
    key: Key | None = None,
    camera: Camera | None = None,
    box: Box | None = None,
) -> Sample | Skip:
    """One person: joints (K, 2) px and (K, 3) mm, camera space, called ``names``, a "spine" among them.

    ``key``: of the video. Without ``box`` it is that of the labelled joints, as they are labelled.
    """
    match, spine = positions(names), joints_3d[names.index("spine")]
    if joints_2d is not None and options.targets_2d == "weak-perspective":
        box = box or joints_box(to_mpii(match, joints_2d, np.isfinite(joints_2d).all(axis=1))[0])
        joints_2d = weak_perspective(names, joints_2d, joints_3d)
    return labelled_sample(
        image, match, joints_2d, joints_3d=joints_3d, camera=camera, box=box, source=source,
        annotation_id=annotation_id, subject=f"S{key[0]}" if key else "", group=ACTIONS[key[1]] if key else "",
        spine_3d=spine if np.isfinite(spine).all() else None,
    )  # fmt: skip


def weak_perspective(names: Sequence[str], joints_2d: np.ndarray, joints_3d: np.ndarray) -> np.ndarray:
    """2D targets (K, 2) px as the authors' code draws them: the 3D joints' x and y, scaled, on the spine's place.

    ``joints_2d`` (K, 2) px, ``joints_3d`` (K, 3) mm. The scale is the sum of the 2D lengths of the scale bones over
    that of their xy parts in 3D; NaN everywhere for a pose seen exactly end-on. Source: pose-hg-3d, fusion.lua,
    getPartInfo.
    """
    match = positions(names)
    bones = [(a, b) for a, b in ((match[i], match[j]) for i, j in SCALE_BONES) if a is not None and b is not None]
    mm = bone_lengths(joints_3d[:, :2], bones).sum()
    px_per_mm = bone_lengths(joints_2d, bones).sum() / mm if mm > 0 else np.nan
    root = names.index("spine")
    return np.asarray(joints_2d[root] + (joints_3d[:, :2] - joints_3d[root, :2]) * px_per_mm)
