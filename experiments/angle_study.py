"""How many degrees joint angles are off, angle by angle, on people whose joints are known.

python experiments/angle_study.py [--weights base,small] [--pictures 400] [--frames 200] [--bodies 2000]
    [--poses MOTION...] [--walks MOTION...] [--photos LABELS IMAGES] [--card FILE]

First table, without a network: angles of the body's true 16 joints against how its bones are turned, in poses made up
(lab, wild) and, with --poses, in motion capture. With --walks: what walking comes to, to hold beside textbooks. Then
predictions of single rendered pictures against the angles of the true joints, in the camera's axes, also by the least
confidence of an angle's joints. Then rendered clips as 'liftwild predict' does them, with detector, smoothing and
levelling, against the true joints in the room's axes. With --photos (COCO labels with 3D and cameras): real people, as
the single pictures. Cells: mean absolute error and bias in degrees, left and right together, and in how many percent
the angle is known.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

import liftwild
from liftwild.data.readers.coco import read_labels
from liftwild.errors import LiftwildError
from liftwild.evaluation.tables import markdown_table, show_parts
from liftwild.inference.estimator import Estimator
from liftwild.kinematics.angles import (
    ANGLE_NAMES,
    KINDS,
    MIN_CONFIDENCE,
    SIDED_KINDS,
    SIDES,
    angle_index,
    angles_of,
    angles_of_joints,
    joints_of_angle,
)
from liftwild.kinematics.upright import Y_UP
from liftwild.media.encoding import write_png
from liftwild.media.photo import read_photo
from liftwild.pose import Recording
from liftwild.rotation import matrix_about
from liftwild.skeleton import MPII_16
from liftwild.synthetic.body.body import Body, load_body
from liftwild.synthetic.mocap.motion import motion_files, read_clip, retarget
from liftwild.synthetic.poses import poses, settle
from liftwild.synthetic.render.clip import CAMERA_M, TARGET_M, render_clip
from liftwild.synthetic.render.crowd import BODY_COLUMNS
from liftwild.synthetic.render.generate import render_people
from liftwild.synthetic.sample_rng import SampleRng

FPS, SIZE = 25.0, 320
CLIP_SEEDS = (5, 11, 17)
THRESHOLDS = (0.0, 0.3, 0.5, 0.7)
CAPTURED_STEP = 5  # every so manyth frame of motion capture
# What 16 joints cost at most, mean absolute, in poses made up; the hip most, whose pelvis they do not show.
DEGREES_OFF = {
    "hip_flexion": 12.0, "hip_adduction": 0.1, "knee_flexion": 1.0, "shoulder_flexion": 5.0, "shoulder_abduction": 4.0,
    "shoulder_elevation": 4.0, "elbow_flexion": 0.1, "pelvis_list": 0.1, "pelvis_rotation": 0.1, "trunk_flexion": 5.0,
    "trunk_bending": 4.0, "trunk_twist": 1.5, "head_flexion": 12.0, "head_bending": 6.0,
}  # fmt: skip
_SEED = 22
# From body space (x left, y back, z up) to people who face the camera with y up.
TO_CAMERA = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


class Case(NamedTuple):
    """Angles found and true (N, A), degrees, and the least confidence of each angle's joints (N, A)."""

    found: np.ndarray
    true: np.ndarray
    confidence: np.ndarray

    def off(self, kind: str, least: float = MIN_CONFIDENCE) -> tuple[np.ndarray, int]:
        """Errors of an angle, both sides together, and of how many it could have been."""
        at = [i for i, name in enumerate(ANGLE_NAMES) if name in (kind, *(f"{side}_{kind}" for side in SIDES))]
        found = np.where(self.confidence[:, at] >= least, self.found[:, at], np.nan)
        off = (found - self.true[:, at] + 180) % 360 - 180
        return off[np.isfinite(off)], int(np.isfinite(self.true[:, at]).sum())


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="base,small")
    parser.add_argument("--bodies", type=int, default=2000, help="poses of the first table; 0 for none")
    parser.add_argument("--pictures", type=int, default=400, help="of each kind; 0 for none")
    parser.add_argument("--frames", type=int, default=200, help="of each rendered clip; 0 for none")
    parser.add_argument("--poses", nargs="*", type=Path, default=(), help="BVH or AMC files, or folders of them")
    parser.add_argument("--walks", nargs="*", type=Path, default=(), help="the same, of people who walk")
    parser.add_argument("--photos", nargs=2, type=Path, metavar=("LABELS", "IMAGES"))
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--card", type=Path, help="also write the tables there")
    asked = parser.parse_args(arguments)
    try:
        show_parts(tables(asked), asked.card)
    except LiftwildError as error:
        sys.exit(f"error: {error}")


def tables(asked: argparse.Namespace) -> Iterator[str]:
    """The tables that were asked for, one after the other."""
    weights = asked.weights.split(",")
    if asked.bodies:
        body = load_body()
        cases = {mode: from_bones(body, *made_up(body, mode, asked.bodies)) for mode in ("lab", "wild")}
        if asked.poses:
            cases["captured"] = from_bones(body, *captured(body, asked.poses))
        yield "\n## True joints against the body's bones\n"
        yield table(cases)
    if asked.walks:
        yield f"\n## Walking, {len(asked.walks)} files of motion capture: medians\n"
        yield walking(load_body(), asked.walks)
    if asked.pictures:
        people = {mode: list(render_people(mode, asked.pictures, split="test")) for mode in ("lab", "wild")}
        boxes = {
            mode: [(each.sample.image, each.sample.box, each.sample.joints_3d) for each in own]
            for mode, own in people.items()
        }
        cases = {
            f"{name}, {mode}": single(Estimator(name, runtime=asked.runtime), own)
            for name in weights
            for mode, own in boxes.items()
        }
        yield f"\n## Single rendered pictures, {asked.pictures} of each kind\n"
        yield table(cases)
        yield "\n### By the least confidence of an angle's joints\n"
        name = f"{weights[0]}, wild"
        yield table({f"{name}, {least:g}": cases[name] for least in THRESHOLDS}, THRESHOLDS)
    if asked.frames:
        clips = [list(render_clip(asked.frames, seed, fps=FPS, size=SIZE)) for seed in CLIP_SEEDS]
        yield f"\n## Rendered clips, {len(clips)} people, {asked.frames} frames each\n"
        done = {name: [whole_clip(clip, name, asked.runtime) for clip in clips] for name in weights}
        yield table({name: joined(cases) for name, cases in done.items()})
        yield "\n### Ranges of motion of the same clips, 1st to 99th percentile: mean absolute error, true range\n"
        yield range_table(done)
    if asked.photos:
        labelled = [
            (
                read_photo(asked.photos[1] / person.file_name),
                person.box,
                np.where(person.depth_valid[:, None], person.joints_3d, np.nan),
            )
            for person in read_labels(asked.photos[0])[0]
        ]
        yield f"\n## Real photos, {len(labelled)}\n"
        yield table({name: single(Estimator(name, runtime=asked.runtime), labelled) for name in weights})


def table(cases: dict[str, Case], least: Sequence[float] = ()) -> str:
    """A row an angle, a column a case."""
    rows = []
    for kind in (*SIDED_KINDS, *KINDS):
        cells = []
        for number, case in enumerate(cases.values()):
            off, count = case.off(kind.name, least[number] if least else MIN_CONFIDENCE)
            share = 100 * len(off) / max(count, 1)
            cells.append(f"{np.abs(off).mean():.1f} ({off.mean():+.1f}) {share:.0f} %" if len(off) else "-")
        rows.append([kind.name, *cells])
    return markdown_table(("angle", *cases), rows)


def range_table(cases: dict[str, list[Case]]) -> str:
    """How far ranges of motion are off, a column each weights; a mean over clips and sides."""
    rows = []
    for kind in (*SIDED_KINDS, *KINDS):
        cells = []
        for own in cases.values():
            at = [
                i
                for i, name in enumerate(ANGLE_NAMES)
                if name in (kind.name, *(f"{side}_{kind.name}" for side in SIDES))
            ]
            found, true = (
                np.array([np.nanpercentile(getattr(case, what)[:, i], [1, 99]) for case in own for i in at])
                for what in ("found", "true")
            )
            found, true = found[:, 1] - found[:, 0], true[:, 1] - true[:, 0]
            cells.append(f"{np.abs(found - true).mean():.0f} of {true.mean():.0f}")
        rows.append([kind.name, *cells])
    return markdown_table(("angle", *cases), rows)


def joined(cases: Sequence[Case]) -> Case:
    """All of them as one."""
    return Case(*(np.concatenate(parts) for parts in zip(*cases, strict=True)))


# --- predictions ---


def single(estimator: Estimator, people: Sequence[tuple[np.ndarray, tuple[float, ...], np.ndarray]]) -> Case:
    """Pictures, boxes and true joints (16, 3) in camera space, each by itself."""
    found, true, sure = [], [], []
    for image, box, joints in people:
        (pose,) = estimator.predict(image, [tuple(float(side) for side in box)])
        hidden = pose.is_outside
        found.append(np.where(hidden[:, None], np.nan, pose.joints_3d))
        true.append(joints - joints[6])
        sure.append(pose.confidence)
    return Case(upright_angles(np.stack(found)), upright_angles(np.stack(true)), least_confidence(np.stack(sure)))


def upright_angles(joints_mm: np.ndarray, up: np.ndarray | None = None) -> np.ndarray:
    """Angles of joints (N, 16, 3) in camera space; ``up`` (3, 3): the turn to the room's axes."""
    joints = joints_mm @ Y_UP.T / 1000
    return angles_of_joints(joints if up is None else joints @ up.T)


def least_confidence(confidence: np.ndarray) -> np.ndarray:
    """Of each angle's joints: (N, A) of joints' (N, 16)."""
    own = [[MPII_16.index(joint) for joint in joints_of_angle(name)] for name in ANGLE_NAMES]
    return np.stack([confidence[:, joints].min(axis=1) for joints in own], axis=1)


def whole_clip(clip: Sequence, weights: str, runtime: str) -> Case:
    """A rendered clip as a user has it done: from pictures to a recording."""
    camera = clip[0].camera
    with tempfile.TemporaryDirectory() as folder:
        for number, frame in enumerate(clip):
            write_png(Path(folder) / f"{number:06d}.png", frame.image)
        recording: Recording = liftwild.predict(
            folder, clip=True, fps=FPS, people=1, camera=(camera.fx, camera.fy, camera.cx, camera.cy), weights=weights,
            runtime=runtime,
        )  # fmt: skip
    print(*recording.steps, sep="; ", file=sys.stderr)
    track = max(recording.tracks, key=len)
    (angles,) = (each for each in angles_of(recording, 0.0) if each.person_id == track.person_id)
    true = np.stack([clip[frame].joints_3d[0] for frame in track.frames])
    pitch = math.atan2(CAMERA_M[2] - TARGET_M[2], math.dist(CAMERA_M[:2], TARGET_M[:2]))
    room = matrix_about(0, np.float64(-pitch))
    return Case(angles.degrees, upright_angles(true, room), least_confidence(track.confidence))


# --- true joints against bones ---


def made_up(body: Body, mode: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Coefficients (N, K) and rotations (N, bones, 3, 3) of people in poses of ``mode``."""
    rng = SampleRng.from_seeds([(_SEED, len(mode), row) for row in range(count)], BODY_COLUMNS)
    coefficients = body.coefficients[body.sample(rng)]
    family = poses.sample_families(rng, mode)
    return coefficients, settle.sample_settled_poses(body, rng, family, body.shape(coefficients)[1])


def walking(body: Body, paths: Sequence[Path]) -> str:
    """Ranges of the left side, and how limbs go together, of people who walk; medians over the files."""
    rows = []
    for path in paths:
        _, rotations = captured(body, [path], 1)
        found = dict(zip(ANGLE_NAMES, from_bones(body, body.coefficients[:1], rotations).found.T, strict=True))
        ranges = [
            np.percentile(found[f"left_{name}"], each) for name in ("hip_flexion", "knee_flexion") for each in (1, 99)
        ]
        left = found["left_hip_flexion"]
        rows.append(
            [*ranges, *(np.corrcoef(left, found[f"right_{name}_flexion"])[0, 1] for name in ("hip", "shoulder"))]
        )
    low, high, straight, bent, hips, arm = np.median(np.array(rows), axis=0)
    return markdown_table(
        ("hip flexion", "knee flexion", "left with right hip (correlation)", "left hip with right arm"),
        [[f"{low:.0f} to {high:.0f}", f"{straight:.0f} to {bent:.0f}", f"{hips:.2f}", f"{arm:.2f}"]],
    )


def captured(body: Body, paths: Sequence[Path], step: int = CAPTURED_STEP) -> tuple[torch.Tensor, torch.Tensor]:
    """The same of motion capture, every so many frames."""
    parts = []
    for path in (file for each in paths for file in motion_files(each)):
        motion = read_clip(path)
        frames = np.arange(0, len(motion), step)
        parts.append(retarget(motion, body.names, body.parents, body.heads.numpy(), frames))
    rotations = torch.as_tensor(np.concatenate(parts))
    rng = SampleRng.from_seeds([(_SEED, 9, row) for row in range(len(rotations))], BODY_COLUMNS)
    return body.coefficients[body.sample(rng)], rotations


def from_bones(body: Body, coefficients: torch.Tensor, rotations: torch.Tensor) -> Case:
    """Angles of the 16 joints, and those that the bones' rotations make, 0 where the body at rest stands straight."""
    heads, top = body.heads_at_rest(coefficients.expand(len(rotations), -1))
    posed = body.pose_heads(heads, rotations)
    joints = body.joints(heads, posed, body.transforms(heads, posed, rotations), top).numpy().astype(np.float64)
    still = torch.eye(3).expand_as(rotations)
    rest = body.joints(heads, heads, body.transforms(heads, heads, still), top).numpy().astype(np.float64)
    joints, rest = joints @ TO_CAMERA.T, rest @ TO_CAMERA.T
    turned = TO_CAMERA @ rotations.numpy().astype(np.float64) @ TO_CAMERA.T
    found = angles_of_joints(joints)
    return Case(found, bone_angles(body, turned, rest), np.ones_like(found))


def bone_angles(body: Body, turned: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Angles (N, A) of bones ``turned`` (N, bones, 3, 3) from the rest pose, whose joints are ``rest`` (N, 16, 3)."""
    count = len(turned)
    up, right = np.tile([0.0, 1, 0], (count, 1)), np.tile([-1.0, 0, 0], (count, 1))
    at = {name: rest[:, i] for i, name in enumerate(MPII_16.names)}
    out = np.full((count, len(ANGLE_NAMES)), np.nan)

    def axes(bone: str, first: str = "", last: str = "") -> np.ndarray:
        """x forward, y from joint ``last`` to ``first`` at rest, or up, z right; as the bone has turned them."""
        y = unit(at[first] - at[last]) if first else up
        z = unit(right - (right * y).sum(-1, keepdims=True) * y)
        own = np.stack([np.cross(y, z), y, z], axis=1)
        return np.einsum("tij,taj->tai", turned[:, body.bone[bone]], own)

    def put(name: str, degrees: np.ndarray) -> None:
        out[:, angle_index(name)] = degrees

    def in_plane(sine: np.ndarray, cosine: np.ndarray) -> np.ndarray:
        return np.where(np.hypot(sine, cosine) >= 0.5, (np.degrees(np.arctan2(sine, cosine)) + 90) % 360 - 90, np.nan)

    pelvis, thorax, head = axes("root"), axes("spine01"), axes("head")
    level = unit(pelvis[:, 2] * (1, 0, 1))
    heading = np.stack([np.cross(up, level), up, level], axis=1)
    put("pelvis_list", -np.degrees(np.arcsin(np.clip(pelvis[:, 2, 1], -1, 1))))
    put("pelvis_rotation", np.degrees(np.arctan2(heading[:, 0, 0], heading[:, 0, 2])))
    for name, carrier, carried in (("trunk", heading, thorax), ("head", thorax, head)):
        bend, side, _ = z_x_y(carrier, carried)
        put(f"{name}_flexion", -bend)
        put(f"{name}_bending", side)
    put("trunk_twist", z_x_y(pelvis, thorax)[2])
    for side, letter, outward in (("left", "L", -1.0), ("right", "R", 1.0)):
        femur = axes(f"upperleg01.{letter}", f"{side}_hip", f"{side}_knee")
        tibia = axes(f"lowerleg01.{letter}", f"{side}_knee", f"{side}_ankle")
        humerus = axes(f"upperarm01.{letter}", f"{side}_shoulder", f"{side}_elbow")
        forearm = axes(f"lowerarm01.{letter}", f"{side}_elbow", f"{side}_wrist")
        flexion, adduction, _ = z_x_y(pelvis, femur)
        put(f"{side}_hip_flexion", flexion)
        put(f"{side}_hip_adduction", outward * adduction)
        put(f"{side}_knee_flexion", -z_x_y(femur, tibia)[0])
        arm = -np.einsum("taj,tj->at", thorax, humerus[:, 1])
        put(f"{side}_shoulder_flexion", in_plane(arm[0], -arm[1]))
        put(f"{side}_shoulder_abduction", in_plane(outward * arm[2], -arm[1]))
        put(f"{side}_shoulder_elevation", np.degrees(np.arccos(np.clip(-arm[1], -1, 1))))
        put(f"{side}_elbow_flexion", np.degrees(np.arccos(np.clip((humerus[:, 1] * forearm[:, 1]).sum(-1), -1, 1))))
    return out


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (N, 3) of length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def z_x_y(carrier: np.ndarray, carried: np.ndarray) -> np.ndarray:
    """Angles (3, N) about z, x, y, in this order, that turn axes (N, 3, 3) into others; degrees."""
    turn = np.einsum("taj,tbj->tab", carrier, carried)
    x = np.arcsin(np.clip(turn[:, 2, 1], -1, 1))
    z, y = np.arctan2(-turn[:, 0, 1], turn[:, 1, 1]), np.arctan2(-turn[:, 2, 0], turn[:, 2, 2])
    return np.degrees(np.stack([z, x, y]))


if __name__ == "__main__":
    main()
