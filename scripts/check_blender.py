"""Have Blender import the BVH and GLB files of ``make_files_to_check.py``, compare where it has the joints, and render
a picture; ``make check-blender`` runs this where ``bpy`` is installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

MAX_MM, MAX_MIXAMO_MM = 1.0, 40.0  # Mixamo's bones keep their places, people's do not
MIXAMO = {
    "left_elbow": "LeftForeArm", "right_elbow": "RightForeArm", "left_knee": "LeftLeg", "right_knee": "RightLeg",
    "left_ankle": "LeftFoot", "right_ankle": "RightFoot", "left_wrist": "LeftHand", "right_wrist": "RightHand",
}  # fmt: skip
SHOWN_FRAME = 30


@contextmanager
def quiet() -> Iterator[None]:
    """What Blender prints meanwhile is lost."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def heads(armature: bpy.types.Object, frame: int) -> dict[str, np.ndarray]:
    """Where the bones of an armature begin in a frame of the scene, by name: m, y up."""
    bpy.context.scene.frame_set(frame)
    places = {}
    for bone in armature.pose.bones:
        x, y, z = armature.matrix_world @ bone.head
        places[bone.name] = np.array([x, z, -y])
    return places


def compare(
    armature: bpy.types.Object, person: int, truth: dict[str, np.ndarray], names: dict[str, str], first: int
) -> float:
    """The largest distance, mm, of Blender's joints from the recording's; ``names``: ours to Blender's; ``first``: the
    scene's frame that is the clip's first."""
    joints = truth["joint_names"].tolist()
    worst = 0.0
    for frame, places in zip(truth[f"frames{person}"].tolist(), truth[f"places{person}"], strict=True):
        found = heads(armature, frame + first)
        for joint, bone in names.items():
            away = found[bone] - places[joints.index(joint)]
            worst = max(worst, 1000 * float(np.linalg.norm(away)))
    return worst


def empty_scene(rate: float) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.fps = round(rate)  # what the importer of GLB turns times into frames by


def report(what: str, worst: float, most: float) -> None:
    print(f"{what}: joints at most {worst:.2f} mm off")
    if not worst <= most:
        raise SystemExit(f"{what}: at most {most:g} mm are wanted")


def check_bvh(path: Path, person: int, truth: dict[str, np.ndarray], rate: float, is_mixamo: bool) -> None:
    """Import a BVH file at the clip's frame, with Blender's frame rate taken from the file."""
    empty_scene(rate)
    start = int(truth[f"frames{person}"][0]) + 1  # Blender counts from 1
    with quiet():
        bpy.ops.import_anim.bvh(
            filepath=str(path), frame_start=start, update_scene_fps=True, update_scene_duration=True
        )
    scene, armature = bpy.context.scene, bpy.context.object
    shortest = min(bone.length for bone in armature.data.bones)
    if shortest < 0.01:
        raise SystemExit(f"{path.name}: a bone of {shortest:.4f} m")
    fps = scene.render.fps / scene.render.fps_base
    if abs(fps - rate) > 0.02:
        raise SystemExit(f"{path.name}: {fps:.3f} frames a second, not {rate:.3f}")
    joints = truth["joint_names"].tolist()
    names = {ours: f"mixamorig:{theirs}" for ours, theirs in MIXAMO.items()}
    worst = compare(armature, person, truth, names if is_mixamo else {name: name for name in joints}, 1)
    report(f"{path.parent.name}/{path.name}", worst, MAX_MIXAMO_MM if is_mixamo else MAX_MM)


def check_glb(path: Path, truth: dict[str, np.ndarray], rate: float, picture: Path) -> None:
    """Import the GLB file, compare all people, and render one frame."""
    empty_scene(rate)
    with quiet():
        bpy.ops.import_scene.gltf(filepath=str(path))
    armatures = [each for each in bpy.context.scene.objects if each.type == "ARMATURE"]
    for armature in armatures:
        person = int(armature.name.removeprefix("person")) if armature.name.startswith("person") else -1
        bones = [bone.name for bone in armature.data.bones]
        joints = truth["joint_names"].tolist()
        names = {joint: next(bone for bone in bones if bone.split(".")[0] == joint) for joint in joints}
        report(f"{path.name}, {armature.name}", compare(armature, person, truth, names, 0), MAX_MM)
    if len(armatures) != sum(name.startswith("frames") for name in truth):
        raise SystemExit(f"{path.name}: {len(armatures)} skeletons")
    render(picture, truth)


def render(picture: Path, truth: dict[str, np.ndarray]) -> None:
    scene = bpy.context.scene
    scene.frame_set(SHOWN_FRAME)
    bpy.ops.mesh.primitive_plane_add(size=20)
    x, y, z = truth["places0"][SHOWN_FRAME].mean(axis=0)
    middle = Vector((x + 0.5, -z, 0.9))
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.location = middle + Vector((1.5, -4.0, 1.0))
    camera.rotation_euler = (middle - camera.location).to_track_quat("-Z", "Y").to_euler()
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy, sun.rotation_euler = 3.0, (0.6, 0.3, 0.0)
    for each in (camera, sun):
        scene.collection.objects.link(each)
    scene.camera = camera
    scene.render.engine, scene.cycles.samples = "CYCLES", 16
    scene.render.resolution_x, scene.render.resolution_y, scene.render.filepath = 640, 480, str(picture)
    with quiet():
        bpy.ops.render.render(write_still=True)
    print(f"rendered: {picture}")


def main() -> None:
    """Check the files of the folder that the command line names."""
    folder = Path(sys.argv[1])
    with np.load(folder / "truth.npz") as loaded:
        truth = dict(loaded)
    rate = float((folder / "rate.txt").read_text())
    for person in (0, 1):
        check_bvh(folder / f"clip.person{person}.bvh", person, truth, rate, is_mixamo=False)
        check_bvh(folder / "mixamo" / f"clip.person{person}.bvh", person, truth, rate, is_mixamo=True)
    check_glb(folder / "clip.glb", truth, rate, folder / "blender.png")


if __name__ == "__main__":
    main()
