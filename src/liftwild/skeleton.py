"""Joint sets: names, parents, left/right pairs, and the bone groups of the geometric loss.

Inside liftwild there is one skeleton, ``MPII_16``. Every other joint set is mapped by name, at the edge: to it where
files are read, from it where they are written (``liftwild.joint_mapping``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Skeleton:
    """A named set of joints with a tree of bones.

    ``names``: J joint names, ``left_*`` and ``right_*`` for paired ones. ``parents``: J indices, -1 at the root.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.parents):
            raise ValueError(f"{len(self.names)} joint names but {len(self.parents)} parents")

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Index of the joint called ``name``; KeyError if the skeleton has none."""
        if name not in self.names:
            raise KeyError(f"no joint {name!r}; joints are {', '.join(self.names)}")
        return self.names.index(name)

    @property
    def root(self) -> int:
        """Index of the joint whose parent is -1."""
        return self.parents.index(-1)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(child, parent) index pairs, one for each joint but the root."""
        return tuple((child, parent) for child, parent in enumerate(self.parents) if parent >= 0)

    @property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """(left, right) index pairs."""
        return tuple(
            (self.index(name), self.index("right_" + name[5:])) for name in self.names if name.startswith("left_")
        )

    @property
    def flip_index(self) -> tuple[int, ...]:
        """J indices: joint ``flip_index[j]`` of a picture is joint ``j`` of the mirrored picture."""
        index = list(range(len(self)))
        for left, right in self.flip_pairs:
            index[left], index[right] = right, left
        return tuple(index)


MPII_16 = Skeleton(
    names=(
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax",
        "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
        "left_wrist",
    ),
    parents=(1, 2, 6, 6, 3, 4, -1, 6, 7, 8, 11, 12, 7, 7, 13, 14),
)  # fmt: skip

# COCO's 17 keypoints in its order. It has neither pelvis nor trunk; these bones are some of the lines that it draws.
COCO_17 = Skeleton(
    names=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
        "right_ankle",
    ),
    parents=(1, 3, 0, 5, 2, 11, 12, 5, 6, 7, 8, -1, 11, 11, 12, 13, 14),
)  # fmt: skip

# Human3.6M's 17 joints in the order of its users. The neck, which some call thorax, lies where MPII's upper neck does;
# the jaw is also called nose or "neck/nose".
H36M_17 = Skeleton(
    names=(
        "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "spine", "neck",
        "jaw", "head_top", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
    ),
    parents=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
)  # fmt: skip

# Joint sets by the names that users give.
SKELETONS = {"mpii16": MPII_16, "coco17": COCO_17, "h36m17": H36M_17}

PELVIS = MPII_16.index("pelvis")
THORAX = MPII_16.index("thorax")

# The joint whose depth is 0 inside the network (method.md, "Depth target").
DEPTH_ROOT = THORAX

# Bones whose summed length sets a pose's scale (method.md, "From output to millimetres").
SCALE_BONES = (
    (0, 1), (1, 2), (2, 6), (3, 4), (4, 5), (3, 6), (6, 8), (8, 9), (12, 8), (10, 11), (11, 12), (13, 8), (13, 14),
    (14, 15),
)  # fmt: skip

# Bone groups R_i of the geometric loss and canonical lengths in mm (Eq. 3; lengths from the authors' code).
RATIO_GROUPS: dict[str, tuple[tuple[tuple[int, int], float], ...]] = {
    "legs": (((0, 1), 452.126), ((1, 2), 456.009), ((3, 4), 456.009), ((4, 5), 452.126)),
    "arms": (((10, 11), 249.773), ((11, 12), 284.125), ((13, 14), 284.125), ((14, 15), 249.773)),
    "hips": (((2, 6), 134.202), ((3, 6), 134.202)),
    "shoulders": (((12, 8), 180.777), ((13, 8), 180.777)),
}

# (right, left) bones whose lengths the symmetry measure compares (Table 4).
SYMMETRIC_BONES: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "upper arm": ((11, 12), (13, 14)),
    "lower arm": ((10, 11), (14, 15)),
    "upper leg": ((1, 2), (3, 4)),
    "lower leg": ((0, 1), (4, 5)),
}

# Other names in use for MPII-16 joints. LSP's neck lies where MPII's upper neck does: at 0.18 of the way from the
# middle of the shoulders to the head top in both (0.00 for MPII's thorax), median over both data sets.
ALIASES = {
    "neck": "upper_neck",
    "head": "head_top",
    "top_of_head": "head_top",
    "hip": "pelvis",
    "mid_hip": "pelvis",
    "root": "pelvis",
}

# Names that common joint sets carry and MPII-16 has no place for: known, so dropped without a complaint. Those of
# ``SKELETONS`` are among them: what is written in a joint set can be read as labels.
UNUSED_JOINTS = frozenset(
    {f"{side}_{part}" for side in ("left", "right") for part in ("heel", "big_toe", "small_toe", "foot", "hand")}
    | {name for skeleton in SKELETONS.values() for name in skeleton.names if name not in (*MPII_16.names, *ALIASES)}
)

# Joints that are the mean of two others where a joint set lacks them. MPII's own thorax is the middle of the shoulders
# (median offset -0.001 of the way to the head top) and its pelvis the middle of the hips.
MADE_UP_JOINTS = {"pelvis": ("right_hip", "left_hip"), "thorax": ("right_shoulder", "left_shoulder")}

# The same for joint sets that files are written in. Human3.6M's skeleton has its spine 233 mm above the pelvis and its
# neck 257 mm above that, so on a straight back the middle is 12 mm off. A jaw lies in front of neck and head: no mean.
MEAN_JOINTS = {**MADE_UP_JOINTS, "spine": ("pelvis", "upper_neck")}


def canonical_name(name: str) -> str:
    """A label's joint name as liftwild spells it: lower case, underscores, known aliases resolved."""
    name = name.strip().lower().replace(" ", "_").replace("-", "_")
    return ALIASES.get(name, name)


def match_names(names: Sequence[str]) -> list[int | None]:
    """For each joint of ``MPII_16`` the position in ``names`` of the joint of that name, or None.

    Raises ValueError on a name that is neither in ``MPII_16``, nor an alias, nor in ``UNUSED_JOINTS``, and on a joint
    named twice.
    """
    found: dict[str, int] = {}
    for position, raw in enumerate(names):
        name = canonical_name(raw)
        if name not in MPII_16.names and name not in UNUSED_JOINTS:
            raise ValueError(f"unknown joint name {raw!r}; known names are {', '.join(MPII_16.names)}")
        if name in found:
            raise ValueError(f"joint {name!r} is named twice: {names[found[name]]!r} and {raw!r}")
        found[name] = position
    return [found.get(name) for name in MPII_16.names]
