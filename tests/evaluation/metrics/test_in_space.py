"""Metrics of 3D joints against cases worked out by hand, and the traps of method.md."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from liftwild.camera import bone_lengths
from liftwild.evaluation import metrics
from liftwild.skeleton import PELVIS
from tests.support.poses import J, off_by

METRICS_3D = [
    metrics.mpjpe,
    metrics.n_mpjpe,
    metrics.pa_mpjpe,
    metrics.pck,
    metrics.auc,
]


def rotation(seed: int) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


# --- MPJPE and what is done to the prediction before it ---


def test_mpjpe_by_hand() -> None:
    target = np.zeros((2, 2, 3))
    pred = np.array([[[3.0, 4, 0], [0, 0, 0]], [[0, 0, 7], [0, 0, -1]]])
    np.testing.assert_array_equal(metrics.mpjpe(pred, target), [2.5, 4.0])
    # With joint 0 moved to 0 in both, joint 1 is off by (-3, -4, 0) and (0, 0, -8); the root counts with 0.
    np.testing.assert_array_equal(metrics.mpjpe(pred, target, root=0), [2.5, 4.0])
    np.testing.assert_array_equal(metrics.mpjpe(pred, target, np.array([[False, True]] * 2)), [0.0, 1.0])


def test_mpjpe_root_takes_out_a_shift(pose: np.ndarray) -> None:
    shifted = pose + np.array([100.0, -50.0, 3000.0])
    np.testing.assert_allclose(metrics.mpjpe(shifted, pose, root=PELVIS), 0, atol=1e-9)
    assert (metrics.mpjpe(shifted, pose) > 3000).all()


@pytest.mark.parametrize("metric", [metrics.mpjpe, metrics.n_mpjpe])
def test_an_invalid_root_scores_nan(metric: Callable, pose: np.ndarray) -> None:
    valid = np.ones((4, J), dtype=bool)
    valid[2, PELVIS] = False
    np.testing.assert_array_equal(np.isnan(metric(pose, pose, valid, root=PELVIS)), [False, False, True, False])
    assert not np.isnan(metric(pose, pose, valid)).any()


def test_n_mpjpe_by_hand() -> None:
    pred = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    target = np.array([[[0.0, 0, 0], [3, 0, 0], [0, 1, 0]]])
    # Best scale (1 * 3 + 1 * 1) / (1 + 1) = 2, so the errors are 0, 1 and 1.
    np.testing.assert_allclose(metrics.n_mpjpe(pred, target), [2 / 3])


def test_n_mpjpe_takes_out_scale_about_the_root_only(pose: np.ndarray) -> None:
    shift = np.array([10.0, 20.0, 4000.0])
    np.testing.assert_allclose(metrics.n_mpjpe(0.3 * pose + shift, pose, root=PELVIS), 0, atol=1e-9)
    assert (metrics.n_mpjpe(0.3 * pose + shift, pose) > 100).all()


def test_n_mpjpe_never_mirrors_through_the_root(pose: np.ndarray) -> None:
    """A negative scale would score -pose as perfect."""
    pose = pose - pose[:, :1]
    np.testing.assert_allclose(metrics.n_mpjpe(-pose, pose, root=0), metrics.mpjpe(0 * pose, pose))


def test_n_mpjpe_of_a_pose_of_no_size(pose: np.ndarray) -> None:
    np.testing.assert_allclose(metrics.n_mpjpe(0 * pose, pose), metrics.mpjpe(0 * pose, pose))


def test_pa_mpjpe_takes_out_a_similarity(pose: np.ndarray) -> None:
    moved = np.stack(
        [s * p @ rotation(i).T + i * 1000.0 for i, (s, p) in enumerate(zip([0.1, 1, 2, 30], pose, strict=True))]
    )
    np.testing.assert_allclose(metrics.pa_mpjpe(moved, pose), 0, atol=1e-8)
    np.testing.assert_allclose(metrics.align_similarity(moved, pose), pose, atol=1e-8)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pa_mpjpe_does_not_forgive_a_mirrored_pose(axis: int, pose: np.ndarray) -> None:
    mirrored = pose.copy()
    mirrored[..., axis] *= -1
    assert (metrics.pa_mpjpe(mirrored, pose) > 50).all()
    assert (metrics.pa_mpjpe(-pose, pose) > 50).all()


def test_pa_mpjpe_is_the_best_rotation_of_a_mirrored_pose(pose: np.ndarray) -> None:
    """With the weakest axis turned round, no small rotation or scaling does better."""
    aligned = metrics.align_similarity(pose * (-1, 1, 1), pose)
    centre = pose.mean(axis=1, keepdims=True)
    best = ((aligned - pose) ** 2).sum((1, 2))
    for axis in np.eye(3):
        for angle in (-0.01, 0.01):
            c, s = np.cos(angle), np.sin(angle)
            cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
            turn = c * np.eye(3) + s * cross + (1 - c) * np.outer(axis, axis)
            assert ((((aligned - centre) @ turn.T + centre - pose) ** 2).sum((1, 2)) > best).all()
    for scale in (0.99, 1.01):
        assert ((((aligned - centre) * scale + centre - pose) ** 2).sum((1, 2)) > best).all()


def test_pa_mpjpe_by_hand() -> None:
    """A square against a rectangle of sides 2 and 4: the same axes, scale (1 * 1 + 1 * 2) / 2 = 1.5."""
    square = np.array([[[1.0, 1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0]]])
    rectangle = square * (1, 2, 1) + 5
    np.testing.assert_allclose(metrics.pa_mpjpe(square, rectangle), [np.hypot(0.5, 0.5)])


def test_pa_mpjpe_fits_valid_joints_and_moves_all(pose: np.ndarray) -> None:
    moved = 2 * pose @ rotation(3).T + 7
    valid = np.ones((4, J), dtype=bool)
    valid[:, 5] = False
    label = pose.copy()
    label[:, 5] = 1e6
    np.testing.assert_allclose(metrics.pa_mpjpe(moved, label, valid), 0, atol=1e-8)
    np.testing.assert_allclose(metrics.align_similarity(moved, label, valid), pose, atol=1e-8)
    assert (metrics.pa_mpjpe(moved, label) > 1000).all()


def test_pa_mpjpe_needs_three_joints(pose: np.ndarray) -> None:
    valid = np.arange(J) < np.array([0, 1, 2, 3])[:, None]
    result = metrics.pa_mpjpe(pose, pose[::-1], valid)
    np.testing.assert_array_equal(np.isnan(result), [True, True, True, False])
    assert result[3] > 0


def test_pa_mpjpe_one_broken_sample_does_not_stop_the_batch(pose: np.ndarray) -> None:
    broken = pose.copy()
    broken[1, 3, 0] = np.nan
    result = metrics.pa_mpjpe(broken, pose)
    assert np.isnan(result[1])
    np.testing.assert_allclose(result[[0, 2, 3]], 0, atol=1e-9)


def test_pa_mpjpe_of_a_pose_of_no_size(pose: np.ndarray) -> None:
    centred = pose - pose.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(metrics.pa_mpjpe(0 * pose, pose), metrics.mpjpe(0 * pose, centred))


def test_the_four_alignments_in_order(pose: np.ndarray) -> None:
    """In summed squares every freedom more can only help; here the means keep that order too."""
    pred = pose + np.random.default_rng(5).normal(scale=60.0, size=pose.shape)
    pred = 1.3 * (pred - pred[:, :1]) @ rotation(9).T
    plain, scaled, aligned = (
        metrics.mpjpe(pred, pose, root=0),
        metrics.n_mpjpe(pred, pose, root=0),
        metrics.pa_mpjpe(pred, pose),
    )
    assert (aligned < scaled).all() and (scaled < plain).all()


def test_scale_to_bone_sum_by_hand() -> None:
    pred = np.array([[[1.0, 1, 1], [2, 1, 1], [2, 3, 1]]])  # bones of 1 and 2
    target = np.array([[[0.0, 0, 0], [0, 4, 0], [0, 4, 5]]])  # bones of 4 and 5
    bones = [(0, 1), (1, 2)]
    scaled = metrics.scale_to_bone_sum(pred, target, bones=bones, root=0)
    np.testing.assert_allclose(scaled, [[[0, 0, 0], [3, 0, 0], [3, 6, 0]]])
    # Without joint 2 only the bones of 1 and 4 count.
    valid = np.array([[True, True, False]])
    scaled = metrics.scale_to_bone_sum(pred, target, valid, bones=bones, root=0)
    np.testing.assert_allclose(scaled, [[[0, 0, 0], [4, 0, 0], [4, 8, 0]]])


def test_scale_to_bone_sum_defaults(pose: np.ndarray) -> None:
    scaled = metrics.scale_to_bone_sum(pose / 1000 + 3, pose[::-1])
    np.testing.assert_allclose(bone_lengths(scaled).sum(-1), bone_lengths(pose[::-1]).sum(-1))
    np.testing.assert_array_equal(scaled[:, PELVIS], 0)
    np.testing.assert_allclose(
        metrics.mpjpe(metrics.scale_to_bone_sum(0.2 * pose + 9, pose), pose, root=PELVIS), 0, atol=1e-9
    )


def test_scale_to_bone_sum_without_bones_is_nan(pose: np.ndarray) -> None:
    valid = np.zeros((4, J), dtype=bool)
    valid[:, [0, 2]] = True  # ankle and hip: no bone between them
    valid[3] = True
    scaled = metrics.scale_to_bone_sum(pose, pose, valid)
    assert np.isnan(scaled[:3]).all() and np.isfinite(scaled[3]).all()
    assert np.isnan(metrics.scale_to_bone_sum(0 * pose, pose)).all()


# --- PCK in 3D ---


def test_pck_is_strictly_less() -> None:
    pred, target = off_by(0, 149.999, 150, 151)
    np.testing.assert_array_equal(metrics.pck(pred, target), [0.5])
    np.testing.assert_array_equal(metrics.pck(pred, target, threshold_mm=151), [0.75])
    np.testing.assert_array_equal(metrics.pck(pred, target, np.array([[True, True, True, False]])), [2 / 3])


def test_auc_of_a_perfect_pose_is_30_of_31() -> None:
    """As the official script of MPI-INF-3DHP: error < t for t = 0:5:150."""
    np.testing.assert_allclose(metrics.auc(*off_by(0, 0)), [30 / 31])


@pytest.mark.parametrize(
    ("distance", "hits"),
    [(0, 30), (4.9, 30), (5, 29), (100, 10), (145, 1), (149.9, 1), (150, 0), (1000, 0)],
)
def test_auc_by_hand(distance: float, hits: int) -> None:
    np.testing.assert_allclose(metrics.auc(*off_by(distance)), [hits / 31])
    np.testing.assert_allclose(metrics.auc(*off_by(distance, 0)), [(hits + 30) / 62])


def test_auc_has_31_thresholds() -> None:
    assert metrics.AUC_THRESHOLDS_MM[0] == 0 and metrics.AUC_THRESHOLDS_MM[-1] == 150
    assert len(metrics.AUC_THRESHOLDS_MM) == 31


def test_a_predicted_nan_is_a_miss_not_a_hole() -> None:
    pred, target = off_by(0, np.nan)
    np.testing.assert_array_equal(metrics.pck(pred, target), [0.5])
    assert np.isnan(metrics.mpjpe(pred, target)).all()


# --- What holds for all ---


@pytest.mark.parametrize("metric", METRICS_3D)
def test_nothing_valid_is_nan_and_only_there(metric: Callable, pose: np.ndarray) -> None:
    valid = np.ones((4, J), dtype=bool)
    valid[2] = False
    np.testing.assert_array_equal(np.isnan(metric(pose, pose, valid)), [False, False, True, False])


@pytest.mark.parametrize("metric", METRICS_3D)
@pytest.mark.parametrize("junk", [np.nan, 1e9])
def test_what_an_invalid_joint_holds_does_not_matter(metric: Callable, junk: float, pose: np.ndarray) -> None:
    pred = pose + np.random.default_rng(2).normal(scale=80.0, size=pose.shape)
    valid = np.random.default_rng(3).random((4, J)) < 0.7
    expected = metric(pred, pose, valid)
    spoilt_pred, spoilt_pose = (np.where(valid[..., None], array, junk) for array in (pred, pose))
    np.testing.assert_array_equal(metric(spoilt_pred, spoilt_pose, valid), expected)
    # The same as leaving the joints out altogether.
    for i in range(4):
        alone = metric(pred[i : i + 1, valid[i]], pose[i : i + 1, valid[i]])
        np.testing.assert_allclose(alone, expected[i : i + 1])


@pytest.mark.parametrize("metric", METRICS_3D)
def test_batches_of_any_shape(metric: Callable, pose: np.ndarray) -> None:
    pred = pose + 30 * np.sin(pose)
    expected = metric(pred, pose)
    assert expected.shape == (4,)
    np.testing.assert_allclose(metric(pred.reshape(2, 2, J, 3), pose.reshape(2, 2, J, 3)).ravel(), expected)
    np.testing.assert_allclose(metric(pred[0], pose[0]), expected[0])
    assert metric(pred[:0], pose[:0]).shape == (0,)
    np.testing.assert_allclose(metric(pred.astype(np.float32), pose.astype(np.float32)), expected, rtol=1e-4)


@pytest.mark.parametrize("metric", [*METRICS_3D, metrics.align_similarity, metrics.scale_to_bone_sum])
def test_shapes_that_do_not_fit(metric: Callable, pose: np.ndarray) -> None:
    with pytest.raises(ValueError, match="pred has shape"):
        metric(pose, pose[:3])
    with pytest.raises(ValueError, match="joints must have shape"):
        metric(pose[..., :2], pose[..., :2])
    with pytest.raises(ValueError, match="valid must be bool of shape"):
        metric(pose, pose, np.ones(J, dtype=bool))
    with pytest.raises(ValueError, match="valid must be bool of shape"):
        metric(pose, pose, np.full((4, J), 2))  # COCO's visibility flags are no mask
