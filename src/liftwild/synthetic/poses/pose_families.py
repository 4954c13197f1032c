"""Families of poses as tables: ranges of joint angles that ``poses`` samples from. All angles in degrees.

The leading side of a pose is the left one, and half of all poses are mirrored afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Range = tuple[float, float]


@dataclass(frozen=True)
class Leg:
    """``hip``: thigh forward of the pelvis' down axis; ``knee``: flexion; ``spread``: thigh outward."""

    hip: Range
    knee: Range
    spread: Range = (-3, 9)


@dataclass(frozen=True)
class Arm:
    """The upper arm's direction in the chest: ``up`` above the horizontal, ``forward`` 0 sideways, 90 to the front.
    ``elbow``: flexion; ``bend``: where the forearm goes, as (inward, forward, upward)."""

    up: Range
    forward: Range
    elbow: Range
    bend: tuple[float, float, float] = (0.35, 0.7, 0.4)


ARMS = {
    "hang": Arm((-80, -62), (-20, 60), (4, 35)),
    "bent": Arm((-76, -45), (-15, 65), (40, 115)),
    "forward": Arm((-30, 25), (60, 102), (0, 45)),
    "side": Arm((-25, 35), (-20, 35), (0, 55)),
    "up": Arm((40, 86), (0, 95), (0, 60), (0.3, 0.3, 0.9)),
    "face": Arm((-45, 5), (40, 92), (105, 140), (0.5, 0.2, 0.9)),
    "cross": Arm((-60, -12), (65, 105), (55, 105), (1.0, 0.3, 0.1)),
    "hip": Arm((-58, -38), (-30, 5), (85, 112), (1.0, 0.25, -0.3)),
    "cocked": Arm((-10, 35), (-35, 25), (65, 120), (0.0, 0.15, 1.0)),
    "back": Arm((-78, -35), (-115, -60), (5, 60), (0.2, 0.6, 0.0)),
    "pump": Arm((-80, -40), (60, 110), (60, 110), (0.3, 0.7, 0.7)),
    "floor": Arm((-12, 12), (78, 96), (0, 18), (0.1, 0.4, 0.6)),
    "brace": Arm((58, 86), (10, 80), (0, 12), (0.3, 0.3, 0.9)),
    "any": Arm((-85, 85), (-45, 112), (0, 140)),
}
ARM_NAMES = tuple(ARMS)

# What carries the body. feet: lowest foot flat and the body balanced over it; seat: a chair if the pelvis is high;
# hands: balanced upside down; fours: hands and feet level; air: above the ground; ground: kneels as it is; bottom:
# sits on the ground; lie: the trunk lies level, and nothing reaches lower.
CONTACTS = ("feet", "seat", "hands", "fours", "air", "ground", "bottom", "lie")

_IDLE = {"hang": 4.0, "bent": 3.0, "face": 1.0, "cross": 1.0, "hip": 1.0, "forward": 0.6, "back": 0.4, "side": 0.4}
_REACH = {"forward": 3.0, "side": 2.0, "up": 3.0, "bent": 1.0, "hang": 1.0, "any": 1.0}
_LIVELY = {"any": 3.0, "up": 2.0, "side": 2.0, "forward": 1.0, "bent": 1.0, "cocked": 1.0}


@dataclass(frozen=True)
class Family:
    """One kind of pose: how often in ``wild`` and ``lab``, and the ranges of its angles.

    ``trail`` None: both legs alike. ``tilt``: of the pelvis to the front; ``bend``, ``side``, ``twist``: of the spine
    over its whole length. ``pitch``, ``roll``: of the whole body. ``arms_alike``: how often both arms do the same.
    ``nod``: of the head to the front.
    """

    wild: float
    lab: float
    lead: Leg
    trail: Leg | None = None
    tilt: Range = (-4, 9)
    bend: Range = (-6, 16)
    side: Range = (-9, 9)
    twist: Range = (-18, 18)
    pitch: Range = (0, 0)
    roll: Range = (0, 0)
    nod: Range = (-6, 22)
    arms: dict[str, float] = field(default_factory=lambda: _IDLE)
    trail_arms: dict[str, float] | None = None
    arms_alike: float = 0.25
    contact: str = "feet"


FAMILIES = {
    "stand": Family(9, 24, Leg((-4, 9), (0, 12)), Leg((-5, 10), (0, 16)), arms_alike=0.35),
    "walk": Family(6, 20, Leg((10, 32), (2, 22)), Leg((-24, -6), (5, 50)), tilt=(0, 8),
                   arms={"hang": 3, "bent": 1, "back": 2}, trail_arms={"hang": 3, "bent": 2, "pump": 1, "forward": 0.5},
                   arms_alike=0),
    "run": Family(8, 2, Leg((30, 85), (40, 100)), Leg((-32, -2), (5, 95)), tilt=(5, 20), arms={"back": 3, "bent": 2},
                  trail_arms={"pump": 4, "bent": 1}, arms_alike=0),
    "sit": Family(8, 22, Leg((68, 100), (55, 112), (-2, 22)), Leg((68, 100), (55, 112), (-2, 22)), tilt=(-18, 15),
                  bend=(-4, 30), arms={**_IDLE, "forward": 2}, arms_alike=0.4, contact="seat"),
    "sit on the ground": Family(4, 3, Leg((80, 118), (0, 115), (0, 40)), Leg((80, 118), (0, 115), (0, 40)),
                                tilt=(-25, 12), bend=(0, 35), contact="bottom",
                                arms={**_IDLE, "back": 2, "forward": 2}),
    "squat": Family(6, 5, Leg((60, 128), (75, 140), (5, 35)), tilt=(5, 42), bend=(0, 25), nod=(-25, 10),
                    arms={"forward": 3, "bent": 2, "cross": 1, "any": 1}, arms_alike=0.5),
    "bend": Family(7, 6, Leg((15, 75), (0, 38)), Leg((15, 75), (0, 38)), tilt=(15, 62), bend=(5, 45), nod=(-25, 18),
                   arms={"forward": 3, "hang": 1, "any": 2, "side": 1}),
    "kneel": Family(5, 4, Leg((-12, 18), (78, 122), (0, 18)), Leg((62, 100), (70, 110), (0, 18)), tilt=(-4, 25),
                    arms=_REACH, contact="ground"),
    "kneel on both": Family(3, 2, Leg((-5, 78), (75, 138), (2, 20)), tilt=(-6, 35), bend=(0, 30), arms=_REACH,
                            contact="ground"),
    "reach": Family(6, 8, Leg((-10, 14), (0, 20)), Leg((-14, 14), (0, 25), (0, 18)), tilt=(-4, 22), side=(-22, 22),
                    twist=(-35, 35), nod=(-25, 12), arms=_REACH),
    "throw": Family(7, 1, Leg((5, 55), (5, 60), (0, 22)), Leg((-28, 8), (0, 55), (0, 25)), tilt=(-12, 22),
                    side=(-22, 22), twist=(-42, 42), arms={"forward": 2, "side": 1, "up": 1, "any": 1},
                    trail_arms={"cocked": 4, "up": 2, "back": 1, "any": 1}, arms_alike=0.05),
    "kick": Family(7, 1, Leg((25, 112), (0, 70), (-5, 35)), Leg((-14, 15), (0, 32)), tilt=(-22, 8), side=(-15, 15),
                   twist=(-28, 28), arms={"side": 3, "any": 2, "forward": 1, "bent": 1}),
    "lunge": Family(7, 2, Leg((45, 105), (40, 112), (0, 15)), Leg((-35, 2), (0, 62), (0, 15)), tilt=(-6, 28),
                    arms=_REACH),
    "straddle": Family(5, 1, Leg((0, 40), (0, 70), (18, 50)), Leg((0, 40), (0, 70), (18, 50)), tilt=(0, 40),
                       bend=(0, 28), arms=_LIVELY),
    "jump": Family(12, 1, Leg((-12, 100), (0, 120), (-2, 35)), Leg((-40, 80), (0, 120), (-2, 35)), tilt=(-15, 30),
                   bend=(-12, 28), pitch=(-28, 32), roll=(-18, 18), arms=_LIVELY, arms_alike=0.45, contact="air"),
    "tumble": Family(8, 0, Leg((-15, 122), (0, 125), (-2, 40)), Leg((-20, 122), (0, 125), (-2, 40)), bend=(-20, 38),
                     pitch=(-180, 180), roll=(-50, 50), arms=_LIVELY, arms_alike=0.5, contact="air"),
    "handstand": Family(6, 0, Leg((-25, 60), (0, 70), (-2, 28)), Leg((-35, 30), (0, 85), (-2, 28)), tilt=(-10, 10),
                        bend=(-18, 10), twist=(-8, 8), pitch=(165, 195), roll=(-8, 8), nod=(-45, 0),
                        arms={"brace": 1}, arms_alike=0.75, contact="hands"),
    "cartwheel": Family(5, 0, Leg((-15, 25), (0, 25), (22, 68)), Leg((-15, 25), (0, 25), (22, 68)), roll=(100, 180),
                        pitch=(-12, 12), bend=(-10, 10), arms={"brace": 1}, contact="hands"),
    "plank": Family(3, 1, Leg((-12, 12), (0, 12)), Leg((-15, 55), (0, 70)), pitch=(72, 92), nod=(-40, 5),
                    bend=(-5, 12), arms={"floor": 1}, arms_alike=0.8, contact="fours"),
    "all fours": Family(3, 2, Leg((72, 98), (78, 100), (0, 14)), Leg((60, 105), (74, 104), (0, 14)), pitch=(76, 96),
                        nod=(-42, 10), arms={"floor": 1}, arms_alike=0.6, contact="fours"),
    "lie on the back": Family(4, 2, Leg((-5, 80), (0, 110), (0, 25)), Leg((-5, 60), (0, 100), (0, 25)),
                              pitch=(-100, -76), roll=(-16, 16), arms={"any": 2, "side": 1, "hang": 2, "up": 1},
                              contact="lie"),
    "lie on the front": Family(3, 1, Leg((-12, 14), (0, 70), (0, 25)), Leg((-12, 25), (0, 90), (0, 25)),
                               pitch=(76, 96), bend=(-28, 5), nod=(-45, 0), arms={"up": 2, "side": 1, "floor": 1},
                               contact="lie"),
    "lie on the side": Family(2, 1, Leg((0, 80), (0, 110)), Leg((0, 80), (0, 110)), roll=(72, 100), pitch=(-15, 15),
                              bend=(0, 30), arms={"forward": 2, "bent": 1, "face": 1, "up": 1}, contact="lie"),
    "limbs at random": Family(16, 2, Leg((-32, 108), (0, 118), (-5, 60)), Leg((-32, 108), (0, 118), (-5, 60)),
                           tilt=(-15, 45), bend=(-15, 40), side=(-25, 25), twist=(-40, 40), nod=(-30, 30),
                           arms={"any": 1}, arms_alike=0.15),
}  # fmt: skip
