"""What the Estimator says of a joint: the chance that it is right, by the calibration of the weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from liftwild.errors import LiftwildError
from liftwild.inference.confidence import CHANCE_IS, PEAK_IS
from liftwild.inference.estimator import OUTSIDE_CHANCE, Estimator
from liftwild.network.posenet import PoseNet, PoseNetConfig, Prediction
from liftwild.pose import Pose, PoseTrack, hide
from liftwild.skeleton import PELVIS
from liftwild.weights import save_weights
from tests.support.calibrations import calibration
from tests.support.images import picture
from tests.support.poses import J


@pytest.fixture
def calibrated(tiny_weights: Path, tmp_path: Path) -> Path:
    """The tiny weights with a calibration in their json."""
    path = tmp_path / "mine.safetensors"
    shutil.copy(tiny_weights, path)
    card = json.loads(tiny_weights.with_suffix(".json").read_text())
    card["calibration"] = calibration().card()
    path.with_suffix(".json").write_text(json.dumps(card))
    return path


def peaks_of(heights: torch.Tensor, cell: tuple[int, int] = (7, 7)):  # type: ignore[no-untyped-def]
    """A network whose peaks have these heights (16,), all in one cell."""

    def net(images: torch.Tensor, with_depth: bool = True) -> Prediction:
        heatmaps = torch.zeros(len(images), J, 16, 16)
        heatmaps[:, :, cell[1], cell[0]] = heights
        return Prediction([heatmaps], torch.zeros(len(images), J))

    net.config = PoseNetConfig(input_px=64)  # type: ignore[attr-defined]
    return net


@pytest.mark.parametrize("flip_test", [False, True])
def test_the_estimator_states_chances(calibrated: Path, tiny_weights: Path, flip_test: bool) -> None:
    photo, inside, reaching = picture(120, 160), (40.0, 30.0, 50.0, 60.0), (40.0, 30.0, 50.0, 90.0)
    plain = Estimator(tiny_weights, "cpu", flip_test, runtime="torch")
    known = Estimator(calibrated, "cpu", flip_test, runtime="torch")
    assert plain.confidence_is == PEAK_IS and known.confidence_is == CHANCE_IS and plain.calibration is None
    before = plain.predict(photo, [inside, reaching])
    after = known.predict(photo, [inside, reaching])
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one.joints_2d, other.joints_2d) and np.array_equal(one.joints_3d, other.joints_3d)
        assert one.depth_sd_mm is None and one.confidence.dtype == np.float32
    known.runtime.net = peaks_of(torch.linspace(0.05, 1.6, J))  # softmax peaks go beyond 1
    whole, cut = known.predict(photo, [inside, reaching])
    wanted = calibration()
    np.testing.assert_allclose(whole.confidence, wanted.confidence(_seen(known, photo, inside), flip_test), atol=1e-3)
    np.testing.assert_allclose(
        cut.confidence, wanted.confidence(_seen(known, photo, reaching), flip_test, ("bottom",)), atol=1e-3
    )
    assert (cut.confidence < whole.confidence).all()
    assert whole.peak == cut.peak == pytest.approx(float(np.clip(_seen(known, photo, inside), 0, 1).mean()))
    assert whole.depth_sd_mm is not None and whole.depth_sd_mm[PELVIS] == 0
    np.testing.assert_allclose(whole.depth_sd_mm[0], 300 * np.exp(-whole.confidence[0]), rtol=1e-3)
    # Without a box the person fills the photo, and is not taken to be cut.
    (alone,) = known.predict(photo, whole=True)
    np.testing.assert_allclose(alone.confidence, whole.confidence, atol=1e-6)


def _seen(estimator: Estimator, photo: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The peaks that the network's answer has for a box."""
    from liftwild.inference.torch_runtime import infer

    (person,) = estimator.crop_people(photo, [box])
    pixels = torch.from_numpy(person.pixels[None]).permute(0, 3, 1, 2)
    return infer(estimator.net, pixels, estimator.flip_test).peaks[0]


def test_joints_beyond_the_photo_are_never_sure(calibrated: Path) -> None:
    estimator = Estimator(calibrated, "cpu", runtime="torch")
    estimator.runtime.net = peaks_of(torch.full((J,), 2.0), cell=(8, 15))  # at the bottom of the crop
    below, within = estimator.predict(picture(120, 160), [(40.0, 70.0, 40.0, 49.0), (40.0, 20.0, 40.0, 49.0)])
    assert (below.joints_2d[:, 1] > 120).all() and (below.confidence <= OUTSIDE_CHANCE).all()
    assert (within.joints_2d[:, 1] < 120).all() and (within.confidence > 0.9).all()


def test_softmax_peaks_are_calibrated_as_they_are(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = PoseNet(PoseNetConfig(1, 1, 16, 8, 64, depth_norm=True, softmax=True)).eval()
    path = tmp_path / "soft.safetensors"
    save_weights(path, net, {"sum_length_mm": 4000.0, "calibration": calibration().card()})
    (pose,) = Estimator(path, "cpu", runtime="torch").predict(picture(), whole=True)
    assert ((pose.confidence > 0) & (pose.confidence < 1)).all() and pose.depth_sd_mm is not None


def test_hide() -> None:
    confidence = np.linspace(0, 1, J)
    pose = Pose(np.ones((J, 2)), np.ones((J, 3)), confidence, (0, 0, 1, 1), depth_sd_mm=np.ones(J), root_mm=np.ones(3))
    shown = hide(pose, 0.4)
    gone = confidence < 0.4
    for values in (shown.joints_2d, shown.joints_3d, shown.depth_sd_mm[:, None]):
        assert np.isnan(values[gone]).all() and (values[~gone] == 1).all()
    assert shown.confidence is confidence and (shown.root_mm == 1).all() and (pose.joints_2d == 1).all()
    track = hide(PoseTrack.of_poses(3, [0, 4], [pose, pose]), 1.0)
    assert track.person_id == 3 and np.isnan(track.joints_3d[:, :-1]).all() and (track.joints_3d[:, -1] == 1).all()
    none = hide(Pose(np.ones((J, 2)), np.ones((J, 3)), np.full(J, np.nan), (0, 0, 1, 1)), 0.0)
    assert np.isnan(none.joints_2d).all() and none.depth_sd_mm is None
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(LiftwildError, match="between 0 and 1"):
            hide(pose, wrong)


def test_chances_go_with_a_track_and_stay_when_joints_are_hidden() -> None:
    confidence = np.linspace(0, 1, J)
    pose = Pose(np.ones((J, 2)), np.ones((J, 3)), confidence, (0, 0, 1, 1))
    told = replace(pose, inside=confidence, visible=1 - confidence)
    track = PoseTrack.of_poses(0, [0, 1], [told, told])
    assert track.inside is not None and track.inside.shape == (2, J) and not pose.is_outside.any()
    assert np.array_equal(track.pose(1).visible, 1 - confidence) and np.array_equal(track.pose(1).inside, confidence)
    assert np.array_equal(track.is_outside[0], confidence < 0.5) and np.array_equal(told.is_outside, confidence < 0.5)
    for found in (told, track):
        shown = hide(found, 0.4)
        assert np.isnan(shown.joints_2d).any()
        assert np.array_equal(shown.inside, found.inside) and np.array_equal(shown.visible, found.visible)
    some = PoseTrack.of_poses(0, [0, 1], [told, pose])
    assert some.inside is None and some.visible is None and some.pose(0).inside is None
