"""GLB, as another library reads it: joints by forward kinematics are those of the recording, and the figure follows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftwild.io.formats import write_formats
from liftwild.placement.floor import Levelled
from liftwild.pose import Recording
from liftwild.rotation import quaternion_slerp, quaternion_to_matrix
from liftwild.skeleton import MPII_16
from tests.support.recordings import photo
from tests.support.tracks import moving, track_of

pygltflib = pytest.importorskip("pygltflib")

EXACT_M = 1e-5  # of the 1 mm that is wanted


class Scene:
    """A GLB file and where its nodes are; nothing of liftwild's in it but the turning of quaternions."""

    def __init__(self, path: Path) -> None:
        self.file = pygltflib.GLTF2().load(str(path))
        self.parents = {child: i for i, node in enumerate(self.file.nodes) for child in node.children or ()}
        self.named = {node.name: i for i, node in enumerate(self.file.nodes)}

    def numbers(self, accessor: int) -> np.ndarray:
        """The rows of an accessor."""
        entry = self.file.accessors[accessor]
        view = self.file.bufferViews[entry.bufferView]
        kind = {5126: "<f4", 5121: "u1"}[entry.componentType]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[entry.type]
        values = np.frombuffer(self.file.binary_blob(), kind, entry.count * width, view.byteOffset)
        assert view.byteOffset % 4 == 0
        return values.reshape(entry.count, width).astype(np.float64)

    def local(self, node: int, time: float) -> np.ndarray:
        """The 4 x 4 matrix of a node below its parent, at a time in s."""
        entry = self.file.nodes[node]
        parts: dict[str, Any] = {
            "translation": entry.translation or [0, 0, 0], "rotation": entry.rotation or [0, 0, 0, 1],
            "scale": entry.scale or [1, 1, 1],
        }  # fmt: skip
        for channel in self.file.animations[0].channels:
            if channel.target.node != node:
                continue
            sampler = self.file.animations[0].samplers[channel.sampler]
            at, values = self.numbers(sampler.input)[:, 0], self.numbers(sampler.output)
            assert (np.diff(at) > 0).all() and self.file.accessors[sampler.input].min == [pytest.approx(at[0])]
            if sampler.interpolation == "STEP":
                value = values[max(int(np.searchsorted(at, time + 1e-5, "right")) - 1, 0)]
            elif channel.target.path == "rotation":
                assert ((values[1:] * values[:-1]).sum(axis=1) >= 0).all()
                value = quaternion_slerp(values[:, [3, 0, 1, 2]], at, np.array([time]))[0][[1, 2, 3, 0]]
            else:
                value = np.array([np.interp(time, at, column) for column in values.T])
            parts[channel.target.path] = value
        matrix = np.eye(4)
        x, y, z, w = parts["rotation"]
        matrix[:3, :3] = quaternion_to_matrix(np.array([w, x, y, z])) * parts["scale"]
        matrix[:3, 3] = parts["translation"]
        return matrix

    def matrix(self, node: int, time: float) -> np.ndarray:
        """The 4 x 4 matrix of a node in space."""
        own = self.local(node, time)
        return self.matrix(self.parents[node], time) @ own if node in self.parents else own


def clip() -> Levelled:
    """Two people in space: one in all frames, one in some."""
    rng = np.random.default_rng(0)
    frames = np.array([4, 5, 9])
    tracks = (
        track_of(moving(rng, 12, 0.4), np.arange(12), np.linspace((0, -900, 4000), (500, -950, 4000), 12)),
        replace(track_of(moving(rng, 3, 0.4), frames, np.tile((1000.0, -900, 3000), (3, 1))), person_id=3),
    )
    return Levelled("c.mp4", 640, 480, np.arange(12) / 25, tracks, is_clip=True)


def test_joints_are_where_the_recording_has_them(tmp_path: Path) -> None:
    recording = clip()
    (path,) = write_formats(recording, tmp_path, "a", ["glb"])
    scene = Scene(path)
    assert len(scene.file.skins) == len(scene.file.scenes[0].nodes) / 2 == 2 and len(scene.file.animations) == 1
    for track, skin in zip(recording.tracks, scene.file.skins, strict=True):
        names = [scene.file.nodes[joint].name for joint in skin.joints]
        assert sorted(names) == sorted(MPII_16.names)
        for i, frame in enumerate(track.frames):
            assert track.root_mm is not None
            expected = (track.joints_3d[i] + track.root_mm[i]) * (1e-3, -1e-3, -1e-3)
            found = np.array([scene.matrix(joint, frame / 25)[:3, 3] for joint in skin.joints])
            np.testing.assert_allclose(found, expected[[MPII_16.index(name) for name in names]], atol=EXACT_M)


def test_the_figure_follows_the_joints(tmp_path: Path) -> None:
    (path,) = write_formats(clip(), tmp_path, "a", ["glb"])
    scene = Scene(path)
    figure = scene.file.nodes[scene.named["person3_figure"]]
    skin, mesh = scene.file.skins[figure.skin], scene.file.meshes[figure.mesh]
    inverse = scene.numbers(skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
    now = np.array([scene.matrix(joint, 9 / 25) for joint in skin.joints])
    rest = np.linalg.inv(inverse)[:, :3, 3]
    assert np.ptp(rest[:, 1]) > 1 and rest[:, 1].min() > 0  # stands on the floor, in T-pose
    assert {scene.file.materials[part.material].name for part in mesh.primitives} == {"left", "right", "middle"}
    for part in mesh.primitives:
        places = scene.numbers(part.attributes.POSITION)
        joints = scene.numbers(part.attributes.JOINTS_0).astype(int)
        weights = scene.numbers(part.attributes.WEIGHTS_0)
        np.testing.assert_allclose(weights.sum(axis=1), 1)
        moved = np.einsum("nij,nj->ni", (now @ inverse)[joints[:, 0]], np.c_[places, np.ones(len(places))])[:, :3]
        for owner in np.unique(joints[:, 0]):  # each part is as far from its joint as in T-pose
            own = joints[:, 0] == owner
            before = np.linalg.norm(places[own] - rest[owner], axis=1)
            np.testing.assert_allclose(np.linalg.norm(moved[own] - now[owner, :3, 3], axis=1), before, atol=1e-5)
        normals = scene.numbers(part.attributes.NORMAL).reshape(-1, 3, 3)[:, 0]
        faces = places.reshape(-1, 3, 3)
        bones = faces.reshape(-1, 8, 3, 3)  # eight triangles each, outside anticlockwise
        away = faces.mean(axis=1) - np.repeat(bones.mean(axis=(1, 2)), 8, axis=0)
        assert ((normals * away).sum(axis=1) > 0).all()


def test_who_is_not_seen_is_not_there(tmp_path: Path) -> None:
    scene = Scene(write_formats(clip(), tmp_path, "a", ["glb"])[0])
    sizes = [scene.matrix(scene.named["person3"], frame / 25)[0, 0] for frame in range(12)]
    assert sizes == [0.0] * 4 + [1.0] * 6 + [0.0] * 2
    assert scene.matrix(scene.named["person0"], 11 / 25)[0, 0] == 1
    notes = scene.file.nodes[scene.named["person3"]].extras["notes"]
    assert "begins with the clip's frame 4, at 0.160 s" in notes


def test_a_photo_nobody_and_mixamo(tmp_path: Path) -> None:
    (path,) = write_formats(photo(2), tmp_path, "a", ["glb"], rig="mixamo")
    scene = Scene(path)
    assert "mixamorig:LeftForeArm" in scene.named and np.isfinite(scene.matrix(2, 0.0)).all()
    about = scene.file.asset.extras
    assert about["unit"] == "m" and "y up" in about["axes"] and about["zero"] == "on the floor below the camera"
    assert "skeleton" not in json.dumps(about["steps"])
    (path,) = write_formats(Recording("a.jpg", 9, 9, np.zeros(1), ()), tmp_path / "none", "a", ["glb"])
    assert not pygltflib.GLTF2().load(str(path)).nodes
