"""The joint sets that poses can be mapped to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liftwild.data.readers.h36m import JOINTS as H36M_JOINTS
from liftwild.io.coco_results import COCO_LINES
from liftwild.joint_mapping import joint_notes, track_in_skeleton
from liftwild.skeleton import COCO_17, H36M_17, MEAN_JOINTS, MPII_16, SKELETONS, Skeleton, canonical_name
from tests.support.poses import COCO_17 as COCO_NAMES
from tests.support.recordings import hide, photo, random_track


def test_joint_sets_are_those_of_the_field() -> None:
    assert COCO_17.names == tuple(COCO_NAMES)
    assert H36M_17.names == H36M_JOINTS
    for skeleton in SKELETONS.values():
        assert skeleton.parents.count(-1) == 1
        assert len(skeleton.flip_pairs) == sum(name.startswith("right_") for name in skeleton.names)
        for joint in range(len(skeleton)):  # every joint hangs on the root, without a circle
            steps = 0
            while skeleton.parents[joint] >= 0:
                joint, steps = skeleton.parents[joint], steps + 1
                assert steps < len(skeleton)
    lines = {frozenset(line) for line in COCO_LINES}
    assert all(frozenset((child + 1, parent + 1)) in lines for child, parent in COCO_17.bones)


@pytest.mark.parametrize("target", SKELETONS.values(), ids=SKELETONS)
@pytest.mark.parametrize("source", SKELETONS.values(), ids=SKELETONS)
def test_joints_are_mapped_by_name(source: Skeleton, target: Skeleton) -> None:
    track = random_track(np.random.default_rng(3), np.arange(4), 1, source)
    track = replace(track, depth_sd_mm=np.random.default_rng(4).uniform(1, 90, (4, len(source))))
    other = track_in_skeleton(track, target)
    assert other.skeleton == target and other.joints_3d.shape == (4, len(target), 3)
    known = {canonical_name(name): at for at, name in enumerate(source.names)}
    for joint, name in enumerate(target.names):
        at = known.get(canonical_name(name))
        if at is not None:
            for array in ("joints_2d", "joints_3d", "confidence", "depth_sd_mm"):
                np.testing.assert_array_equal(getattr(other, array)[:, joint], getattr(track, array)[:, at])
        elif not set(MEAN_JOINTS.get(canonical_name(name), ("none",))) <= known.keys():
            assert np.isnan(other.joints_3d[:, joint]).all()
            assert (other.confidence[:, joint] == 0).all() and np.isnan(other.joints_2d[:, joint]).all()
        else:
            ends = [known[end] for end in MEAN_JOINTS[canonical_name(name)]]
            np.testing.assert_array_equal(other.joints_3d[:, joint], track.joints_3d[:, ends].mean(axis=1))
    assert other.boxes is track.boxes and other.root_mm is track.root_mm


def test_chances_of_made_up_joints_are_products() -> None:
    rng = np.random.default_rng(5)
    track = replace(photo(1).tracks[0], inside=rng.random((1, 16)), visible=rng.random((1, 16)))
    own, at = MPII_16.index, H36M_17.index
    other = track_in_skeleton(track, H36M_17)
    for before, after in ((track.inside, other.inside), (track.visible, other.visible)):
        assert before is not None and after is not None and after.shape == (1, 17)
        assert after[0, at("left_knee")] == before[0, own("left_knee")]
        assert after[0, at("spine")] == pytest.approx(before[0, own("pelvis")] * before[0, own("upper_neck")])
        assert np.isnan(after[0, at("jaw")]) and not other.is_outside[0, at("jaw")]
    silent = track_in_skeleton(replace(track, inside=None, visible=None), COCO_17)
    assert silent.inside is None and silent.visible is None


def test_made_up_joints_are_means_and_say_so() -> None:
    track = photo(1).tracks[0]
    track = replace(track, confidence=np.linspace(0, 1, 16)[None], depth_sd_mm=np.arange(16.0)[None])
    other = track_in_skeleton(track, H36M_17)
    at, own = H36M_17.index, MPII_16.index
    middle = (track.joints_3d[0, own("pelvis")] + track.joints_3d[0, own("upper_neck")]) / 2
    np.testing.assert_allclose(other.joints_3d[0, at("spine")], middle)
    assert other.confidence[0, at("spine")] == track.confidence[0, own("pelvis")]  # the lower of the two
    assert other.depth_sd_mm is not None and other.depth_sd_mm[0, at("spine")] == 7.0
    assert np.isnan(other.joints_3d[0, at("jaw")]).all() and other.confidence[0, at("jaw")] == 0
    assert joint_notes(H36M_17) == {
        "spine": "made up: the middle of pelvis and upper_neck", "jaw": "not known: always empty, with confidence 0",
    }  # fmt: skip
    assert set(joint_notes(COCO_17)) == {"nose", "left_eye", "right_eye", "left_ear", "right_ear"}
    assert joint_notes(MPII_16) == {}
    hidden = track_in_skeleton(hide(track, "upper_neck"), H36M_17)
    assert np.isnan(hidden.joints_3d[0, at("spine")]).all()
