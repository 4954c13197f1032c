"""What must hold for any input of skeleton, camera, crop and heatmap: round trips, and who sits where."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from liftwild import heatmap
from liftwild.camera import Camera, bone_lengths, depth_targets, pose_mm
from liftwild.crop import BOX_MARGIN, Crop, invert, transform
from liftwild.skeleton import (
    DEPTH_ROOT,
    MPII_16,
    PELVIS,
    RATIO_GROUPS,
    SCALE_BONES,
    SYMMETRIC_BONES,
    THORAX,
    Skeleton,
    match_names,
)

J = len(MPII_16)
quick = settings(max_examples=40, deadline=None, derandomize=True)


def named(bone: tuple[int, int]) -> tuple[str, str]:
    return MPII_16.names[bone[0]], MPII_16.names[bone[1]]


def between(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_subnormal=False)


seeds = st.integers(0, 2**32 - 1)
cameras = st.builds(
    Camera,
    fx=between(100, 5000),
    fy=between(100, 5000),
    cx=between(-500, 2000),
    cy=between(-500, 2000),
    skew=st.one_of(st.just(0.0), between(-200, 200)),
)
crops = st.builds(
    Crop,
    center_px=st.tuples(between(-1000, 3000), between(-1000, 3000)),
    size_px=between(5, 5000),
    rotation_rad=between(-7, 7),
    flip=st.booleans(),
)


def in_view(seed: int, count: int = J) -> np.ndarray:
    """Points (count, 3) in mm, 1 to 9 m in front of the camera."""
    return np.random.default_rng(seed).uniform((-2000, -2000, 1000), (2000, 2000, 9000), size=(count, 3))


# --- skeleton ---


def test_mpii_16_is_the_skeleton_of_the_method() -> None:
    assert J == 16
    assert MPII_16.names[MPII_16.root] == "pelvis" and MPII_16.root == PELVIS == 6
    assert DEPTH_ROOT == THORAX == 7 and MPII_16.names[7:10] == ("thorax", "upper_neck", "head_top")
    assert len(MPII_16.bones) == J - 1
    for joint in range(J):  # every joint hangs on the root, without a circle
        steps = 0
        while MPII_16.parents[joint] >= 0:
            joint, steps = MPII_16.parents[joint], steps + 1
            assert steps < J
        assert joint == MPII_16.root


def test_flip_index_is_an_involution_that_exchanges_sides() -> None:
    index = MPII_16.flip_index
    assert sorted(index) == list(range(J))
    assert [index[i] for i in index] == list(range(J))
    for joint, partner in enumerate(index):
        swap = {"left": "right", "righ": "left"}
        name = MPII_16.names[joint]
        expected = name if name[:4] not in swap else swap[name[:4]] + name[name.index("_") :]
        assert MPII_16.names[partner] == expected
    assert len(MPII_16.flip_pairs) == 6


def test_bones_are_what_their_groups_say() -> None:
    sides = ("right", "left")
    expected = {
        "legs": {(f"{s}_{a}", f"{s}_{b}") for s in sides for a, b in (("ankle", "knee"), ("knee", "hip"))},
        "arms": {(f"{s}_{a}", f"{s}_{b}") for s in sides for a, b in (("wrist", "elbow"), ("elbow", "shoulder"))},
        "hips": {(f"{s}_hip", "pelvis") for s in sides},
        "shoulders": {(f"{s}_shoulder", "upper_neck") for s in sides},
    }
    assert {group: {named(b) for b, _ in bones} for group, bones in RATIO_GROUPS.items()} == {
        # Which end comes first does not matter to a length.
        group: {b if b in {named(x) for x, _ in RATIO_GROUPS[group]} else b[::-1] for b in bones}
        for group, bones in expected.items()
    }
    spine = {("pelvis", "upper_neck"), ("upper_neck", "head_top")}
    scale = {frozenset(bone) for bones in expected.values() for bone in bones} | {frozenset(bone) for bone in spine}
    assert {frozenset(named(bone)) for bone in SCALE_BONES} == scale
    assert len(SCALE_BONES) == len(scale) == 14


def test_bone_groups_are_the_same_left_and_right() -> None:
    flip = MPII_16.flip_index
    for bones in RATIO_GROUPS.values():
        lengths = {frozenset(bone): length for bone, length in bones}
        assert lengths == {frozenset(flip[i] for i in bone): length for bone, length in lengths.items()}
    for right, left in SYMMETRIC_BONES.values():
        assert [MPII_16.names[i].split("_")[0] for i in (*right, *left)] == ["right"] * 2 + ["left"] * 2
        assert {flip[i] for i in right} == set(left)


COCO = [
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow"),
    *("right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle"),
    "right_ankle",
]
LSP = [
    *("Right ankle", "Right knee", "Right hip", "Left hip", "Left knee", "Left ankle", "Right wrist", "Right elbow"),
    *("Right shoulder", "Left shoulder", "Left elbow", "Left wrist", "Neck", "Head top"),
]


def test_match_names_of_coco_and_lsp() -> None:
    missing = {"pelvis", "thorax", "upper_neck", "head_top"}
    for name, position in zip(MPII_16.names, match_names(COCO), strict=True):
        assert position == (None if name in missing else COCO.index(name))
    assert match_names(LSP) == [0, 1, 2, 3, 4, 5, None, None, 12, 13, 6, 7, 8, 9, 10, 11]
    assert match_names(MPII_16.names) == list(range(J))
    assert match_names(["Mid-Hip", " HEAD "])[PELVIS] == 0
    assert match_names([]) == [None] * J


@quick
@given(st.permutations(MPII_16.names))
def test_match_names_in_any_order(names: list[str]) -> None:
    assert [names[position] for position in match_names(names) if position is not None] == list(MPII_16.names)


@pytest.mark.parametrize("names", [["tail"], ["left_knee", ""], ["knee_left"]])
def test_match_names_refuses_unknown_names(names: list[str]) -> None:
    with pytest.raises(ValueError, match="unknown joint name"):
        match_names(names)


@pytest.mark.parametrize("names", [["pelvis", "pelvis"], ["neck", "upper neck"], ["hip", "Root"], ["nose", "nose"]])
def test_match_names_refuses_a_joint_named_twice(names: list[str]) -> None:
    with pytest.raises(ValueError, match="named twice"):
        match_names(names)


def test_skeleton_errors() -> None:
    with pytest.raises(ValueError, match="parents"):
        Skeleton(("a", "b"), (-1,))
    with pytest.raises(KeyError, match="tail"):
        MPII_16.index("tail")


# --- camera ---


def test_project_by_hand() -> None:
    camera = Camera(fx=1000, fy=500, cx=320, cy=240)
    np.testing.assert_array_equal(camera.project(np.array([[0, 0, 1], [1000, -500, 2000]])), [[320, 240], [820, 115]])


@quick
@given(cameras, seeds)
def test_project_and_unproject_are_inverse(camera: Camera, seed: int) -> None:
    points = in_view(seed)
    image = camera.project(points)
    np.testing.assert_allclose(camera.unproject(image, points[:, 2]), points, atol=1e-6)
    homogeneous = points @ camera.K.T
    np.testing.assert_allclose(image, homogeneous[:, :2] / homogeneous[:, 2:], atol=1e-6)


@quick
@given(cameras, crops, st.integers(16, 512), seeds)
def test_warped_camera_sees_the_warped_image(camera: Camera, crop: Crop, output_px: int, seed: int) -> None:
    affine = crop.affine(output_px)
    warped, turn = camera.warped(affine)
    points = in_view(seed)
    expected = transform(affine, camera.project(points))
    np.testing.assert_allclose(warped.project(points @ turn.T), expected, rtol=1e-9, atol=1e-6)
    assert warped.fx > 0 and warped.fy > 0
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(-1 if crop.flip else 1)
    np.testing.assert_array_equal((points @ turn.T)[:, 2], points[:, 2])


def test_warped_by_hand() -> None:
    camera = Camera(fx=1000, fy=500, cx=100, cy=60)
    plain, turn = camera.warped(Crop((100, 60), 200).affine(100))
    assert (plain, turn.tolist()) == (Camera(500, 250, 50, 50), np.eye(3).tolist())
    mirrored, turn = camera.warped(Crop((90, 60), 200, flip=True).affine(100))
    assert (mirrored, turn.tolist()) == (Camera(500, 250, 45, 50), np.diag([-1.0, 1, 1]).tolist())
    # A quarter turn clockwise: what was right is below now, and fx and fy change places.
    turned, turn = camera.warped(Crop((100, 60), 100, rotation_rad=np.pi / 2).affine(100))
    assert (turned.fx, turned.fy, turned.skew) == pytest.approx((500, 1000, 0), abs=1e-9)
    np.testing.assert_allclose(turn @ (1, 0, 0), [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize("z", [0.0, -1.0])
def test_points_behind_the_camera_raise(z: float) -> None:
    with pytest.raises(ValueError, match="behind the camera"):
        Camera(1000, 1000, 0, 0).project(np.array([[0.0, 0, 1000], [0, 0, z]]))


# --- depth in the network's unit and back to mm ---


def weak_perspective(joints_3d: np.ndarray, px_per_mm: float) -> np.ndarray:
    return joints_3d[:, :2] * px_per_mm + 128


@quick
@given(seeds, between(0.01, 1), st.sampled_from([64, 256, 384]), between(100, 10_000))
def test_depth_and_back_is_the_pose(seed: int, px_per_mm: float, input_px: int, away: float) -> None:
    joints_3d = np.random.default_rng(seed).normal((30, -70, away), 400.0, size=(J, 3))
    joints_2d = weak_perspective(joints_3d, px_per_mm)
    depth, valid = depth_targets(joints_2d, joints_3d, np.ones(J, dtype=bool), input_px)
    assert valid.all() and depth.dtype == np.float32 and depth[DEPTH_ROOT] == 0
    result = pose_mm(joints_2d, depth, input_px, bone_lengths(joints_3d).sum(), PELVIS)
    expected = joints_3d - joints_3d[PELVIS]
    np.testing.assert_allclose(result, expected, atol=1e-6 * np.abs(expected).max())
    # Another person's size changes the size alone.
    twice = pose_mm(joints_2d, depth, input_px, 2 * bone_lengths(joints_3d).sum(), PELVIS)
    np.testing.assert_allclose(twice, 2 * result)


def test_depth_targets_by_hand() -> None:
    """0.1 px / mm and an input of 200 px: 100 mm behind the thorax are 10 px, so 0.1."""
    joints_3d = np.random.default_rng(0).normal(scale=300.0, size=(J, 3))
    joints_3d[:, 2] = 3000
    joints_3d[MPII_16.index("left_wrist"), 2] += 100
    joints_3d[MPII_16.index("head_top"), 2] -= 50
    depth, _ = depth_targets(weak_perspective(joints_3d, 0.1), joints_3d, np.ones(J, dtype=bool), 200)
    expected = np.zeros(J)
    expected[[MPII_16.index("left_wrist"), MPII_16.index("head_top")]] = 0.1, -0.05
    np.testing.assert_allclose(depth, expected, atol=1e-7)


@quick
@given(seeds, st.lists(st.booleans(), min_size=J, max_size=J))
def test_depth_targets_use_valid_joints_only(seed: int, valid_list: list[bool]) -> None:
    valid = np.array(valid_list)
    joints_3d = np.random.default_rng(seed).normal(scale=400.0, size=(J, 3))
    joints_2d = weak_perspective(joints_3d, 0.1)
    full, _ = depth_targets(joints_2d, joints_3d, np.ones(J, dtype=bool), 256)
    known = [np.where(valid[:, None], joints, np.nan) for joints in (joints_2d, joints_3d)]
    depth, depth_valid = depth_targets(known[0], known[1], valid, 256)
    assert np.isfinite(depth).all() and (depth[~depth_valid] == 0).all()
    if not valid[THORAX] or not any(valid[a] and valid[b] for a, b in SCALE_BONES):
        assert not depth_valid.any()
    else:
        np.testing.assert_array_equal(depth_valid, valid)
        assert depth_valid is not valid
        np.testing.assert_allclose(depth[valid], full[valid], rtol=1e-5, atol=1e-7)


def test_depth_targets_without_thorax_bones_or_size() -> None:
    joints_3d = np.random.default_rng(0).normal(scale=400.0, size=(J, 3))
    no_thorax = np.arange(J) != THORAX
    only_thorax = np.arange(J) == THORAX
    end_on = joints_3d * (0, 0, 1)
    for joints, valid in ((joints_3d, no_thorax), (joints_3d, only_thorax), (end_on, np.ones(J, dtype=bool))):
        depth, depth_valid = depth_targets(weak_perspective(joints, 0.1), joints, valid, 256)
        assert not depth_valid.any() and not depth.any()


def test_pose_mm_of_a_pose_of_no_size_stays_at_zero() -> None:
    joints_2d = np.full((2, J, 2), 50.0)
    joints_2d[1] += np.random.default_rng(0).normal(scale=20, size=(J, 2))
    result = pose_mm(joints_2d, np.zeros((2, J)), 256, 4000.0, PELVIS)
    assert (result[0] == 0).all()
    assert bone_lengths(result[1]).sum() == pytest.approx(4000)


# --- crop ---


@quick
@given(crops, st.integers(16, 512), seeds)
def test_to_photo_inverts_to_crop(crop: Crop, output_px: int, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-500, 3000, size=(3, 5, 2))
    np.testing.assert_allclose(crop.to_photo(crop.to_crop(points, output_px), output_px), points, atol=1e-6)
    np.testing.assert_allclose(invert(invert(crop.affine(output_px))), crop.affine(output_px), rtol=1e-6, atol=1e-6)
    centre = crop.to_crop(np.array(crop.center_px), output_px)
    np.testing.assert_allclose(centre, [output_px / 2] * 2, atol=1e-6)


def test_crop_corners_by_hand() -> None:
    """The square (10, 20) to (30, 40): its corners in the order of a clock."""
    corners = np.array([[10.0, 20], [30, 20], [30, 40], [10, 40]])
    out = np.array([[0.0, 0], [100, 0], [100, 100], [0, 100]])
    np.testing.assert_allclose(Crop((20, 30), 20).to_crop(corners, 100), out)
    np.testing.assert_allclose(Crop((20, 30), 20, flip=True).to_crop(corners, 100), out[[1, 0, 3, 2]])
    # Clockwise as seen: the top left corner goes to the top right. The mirror comes after the turn.
    turned = Crop((20, 30), 20, rotation_rad=np.pi / 2)
    np.testing.assert_allclose(turned.to_crop(corners, 100), out[[1, 2, 3, 0]], atol=1e-9)
    both = Crop((20, 30), 20, rotation_rad=np.pi / 2, flip=True)
    np.testing.assert_allclose(both.to_crop(corners, 100), out[[0, 3, 2, 1]], atol=1e-9)


def test_crop_around_a_box() -> None:
    assert Crop.around((10, 20, 30, 80), margin=1.0) == Crop((25.0, 60.0), 80.0)
    assert Crop.around((10, 20, 80, 30)).size_px == 80 * BOX_MARGIN


@pytest.mark.parametrize(
    ("center", "size"),
    [
        ((0, 0), 0),
        ((0, 0), -1),
        ((0, 0), np.nan),
        ((0, 0), np.inf),
        ((np.nan, 0), 10),
        ((0, -np.inf), 10),
    ],
)
def test_crops_of_no_size_or_place_raise(center: tuple[float, float], size: float) -> None:
    with pytest.raises(ValueError, match="a crop needs"):
        Crop(center, size)
    with pytest.raises(ValueError, match="a crop needs"):
        Crop.around((5, 5, 0, 0))


def centroid(image: np.ndarray) -> np.ndarray:
    """Centre of the light (x, y) in px, a pixel's centre at +0.5."""
    light = image[..., 0].astype(np.float64)
    assert light.sum() > 0, "no light in the crop"
    rows, columns = np.indices(light.shape) + 0.5
    return np.array([(light * columns).sum(), (light * rows).sum()]) / light.sum()


def bright_pixel(width: int, height: int, x: int, y: int, around: int = 0) -> np.ndarray:
    """A black photo with pixel (x, y) lit, and those within ``around`` of it."""
    image = np.zeros((height, width, 3), dtype=np.float32)
    image[y - around : y + around + 1, x - around : x + around + 1] = 1000
    return image


@quick
@given(
    between(0.05, 8),
    st.one_of(st.just(0.0), between(-3, 3)),
    st.booleans(),
    between(0.1, 0.9),
    between(0.1, 0.9),
    seeds,
)
def test_a_pixel_lands_where_to_crop_says(
    scale: float, rotation: float, flip: bool, u: float, v: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    width, height, output_px = 301, 211, 64
    # A turned crop of 0.5 to 0.7 times the size has bilinear samples more than a px from some pixels: light nine then.
    around = 0 if rotation == 0 else 1
    x, y = rng.integers(around, width - around), rng.integers(around, height - around)
    # Choose the crop so that the pixel lies at about (u, v) of it.
    size = output_px / scale
    margin = 2 * max(1, scale) * (1 + around)
    assume(margin < min(u, v, 1 - u, 1 - v) * output_px)
    aim = Crop((0.0, 0.0), size, rotation, flip).to_photo(np.array([u, v]) * output_px, output_px)
    crop = Crop((x + 0.5 - aim[0], y + 0.5 - aim[1]), size, rotation, flip)
    expected = crop.to_crop(np.array([x + 0.5, y + 0.5]), output_px)
    np.testing.assert_allclose(expected, np.array([u, v]) * output_px, atol=1e-6)
    found = centroid(crop.apply(bright_pixel(width, height, x, y, around), output_px))
    # Half a px along each of the photo's axes: at the rim of its block (scale to 0.5), midway between samples (above).
    assert np.abs(found - expected).max() < (0.6 if rotation == 0 else 0.75)


@pytest.mark.parametrize("size_px", [64, 32, 100, 640, 1000])
@pytest.mark.parametrize("flip", [False, True])
def test_a_bright_disc_lands_where_to_crop_says(size_px: int, flip: bool) -> None:
    """Something larger than a pixel of the crop must lie right to a small part of one, whatever the scale."""
    y, x = np.mgrid[:500, :400] + 0.5
    radius = size_px / 10
    place = np.array([190.0, 240.0])
    disc = np.clip(radius - np.hypot(x - place[0], y - place[1]) + 0.5, 0, 1)
    image = np.repeat((disc[..., None] * 200).astype(np.uint8), 3, axis=2)
    crop = Crop((200.0, 230.0), size_px, rotation_rad=0.3, flip=flip)
    out = crop.apply(image, 64)
    assert out.shape == (64, 64, 3) and out.dtype == np.uint8
    np.testing.assert_allclose(centroid(out), crop.to_crop(place, 64), atol=0.05)


def test_a_crop_of_the_same_size_is_a_copy() -> None:
    image = np.random.default_rng(0).integers(0, 256, size=(50, 60, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Crop((30.0, 25.0), 20).apply(image, 20), image[15:35, 20:40])
    np.testing.assert_array_equal(Crop((30.0, 25.0), 20, flip=True).apply(image, 20), image[15:35, 20:40][:, ::-1])


def test_half_size_skips_no_pixel() -> None:
    """Centred on a pixel, samples of a spacing of 2 px would hit every other pixel alone."""
    crop = Crop((100.5, 60.5), 128)
    for x, y in ((100, 60), (101, 60), (100, 61), (101, 61)):
        found = centroid(crop.apply(bright_pixel(200, 120, x, y), 64))
        expected = crop.to_crop(np.array([x + 0.5, y + 0.5]), 64)
        assert np.abs(found - expected).max() < 0.3


def test_shrinking_to_half_and_less_takes_the_mean() -> None:
    image = np.random.default_rng(0).integers(0, 256, size=(80, 80, 3)).astype(np.float32)
    blocks = image.reshape(20, 4, 20, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(Crop((40.0, 40.0), 80).apply(image, 20), blocks, atol=1e-3)


@pytest.mark.parametrize("size_px", [30, 100, 170, 700])
def test_outside_is_black_and_inside_is_kept(size_px: int) -> None:
    """A white photo of 101 x 67: the crop is white inside it, black outside, and holds its area."""
    image = np.full((67, 101, 3), 255, dtype=np.uint8)
    output_px = 64
    crop = Crop((95.0, 60.0), size_px)
    out = crop.apply(image, output_px)[..., 0]
    corner = crop.to_crop(np.array([101.0, 67.0]), output_px)
    start = crop.to_crop(np.array([0.0, 0.0]), output_px)
    columns, rows = np.meshgrid(np.arange(output_px) + 0.5, np.arange(output_px) + 0.5)
    away = np.minimum(
        np.minimum(columns - start[0], corner[0] - columns), np.minimum(rows - start[1], corner[1] - rows)
    )
    soft = 0.5 + max(1.0, output_px / size_px) / 2  # bilinear sampling blends over one px of photo or crop
    assert (out[away > soft] == 255).all()
    assert (out[away < -soft] == 0).all()
    inside = np.minimum(corner, output_px) - np.maximum(start, 0)
    assert out.sum() / 255 == pytest.approx(inside.prod(), rel=0.06)


def test_a_crop_beside_the_photo_is_black() -> None:
    image = np.full((50, 50, 3), 255, dtype=np.uint8)
    for center in ((-500.0, 25.0), (25.0, 5000.0), (1e6, 1e6)):
        for size_px in (20, 400):
            assert not Crop(center, size_px).apply(image, 32).any()


# --- heatmap ---


@quick
@given(st.sampled_from([(16, 64), (64, 256), (24, 96), (32, 100)]), seeds, between(0.7, 2))
def test_decode_finds_what_draw_drew(sizes: tuple[int, int], seed: int, sigma_px: float) -> None:
    size, input_px = sizes
    cell = input_px / size
    joints = np.random.default_rng(seed).uniform(2 * cell, input_px - 2 * cell, size=(2, 5, 2))
    maps = heatmap.draw(torch.tensor(joints), size, input_px, sigma_px)
    assert maps.shape == (2, 5, size, size)
    found, peak = heatmap.decode(maps, input_px)
    assert np.abs(found.numpy() - joints).max() <= 0.25 * cell + 1e-9
    np.testing.assert_allclose(peak.numpy(), maps.amax((2, 3)).numpy())


@quick
@given(st.integers(0, 15), st.integers(0, 15), st.sampled_from([16, 64, 100]))
def test_cell_centres_are_exact_and_x_is_not_y(column: int, row: int, input_px: int) -> None:
    centre = torch.tensor([[[(column + 0.5), (row + 0.5)]]], dtype=torch.float64) * (input_px / 16)
    maps = heatmap.draw(centre, 16, input_px)
    assert maps[0, 0, row, column] == pytest.approx(1)
    assert maps[0, 0].flatten().argmax() == 16 * row + column
    found, peak = heatmap.decode(maps.round(decimals=9), input_px)
    np.testing.assert_allclose(found.numpy(), centre.numpy(), atol=1e-12)
    assert peak.item() == pytest.approx(1)


def test_draw_by_hand() -> None:
    """Sigma 2 cells; the joint at the centre of cell (row 3, column 5) of 8, input of 32 px."""
    maps = heatmap.draw(torch.tensor([[[22.0, 14.0]]]), 8, 32, sigma_px=2.0)[0, 0]
    for row in range(8):
        for column in range(8):
            expected = np.exp(-((row - 3) ** 2 + (column - 5) ** 2) / 8)
            assert maps[row, column].item() == pytest.approx(expected, rel=1e-5)


def test_decode_by_hand() -> None:
    """A quarter cell toward the higher neighbour, in each axis by itself; none where both are equal."""
    maps = torch.zeros(1, 2, 8, 8)
    maps[0, :, 2, 6] = 1.0  # row 2, column 6
    maps[0, 0, 2, 5], maps[0, 0, 2, 7] = 0.2, 0.3  # to the right
    maps[0, 0, 1, 6], maps[0, 0, 3, 6] = 0.3, 0.2  # up
    found, peak = heatmap.decode(maps, 32)
    np.testing.assert_allclose(found[0].numpy(), [[(6.75) * 4, (2.25) * 4], [6.5 * 4, 2.5 * 4]])
    np.testing.assert_array_equal(peak.numpy(), [[1, 1]])


def test_decode_at_the_border_stays_in_its_cell() -> None:
    cells = [(row, column) for row in range(6) for column in range(8) if row in (0, 5) or column in (0, 7)]
    maps = torch.rand(1, len(cells), 6, 8, generator=torch.Generator().manual_seed(0))
    for joint, (row, column) in enumerate(cells):
        maps[0, joint, row, column] = 2.0
    found = heatmap.decode(maps, 24)[0][0].numpy()
    for (x, y), (row, column) in zip(found, cells, strict=True):
        # An input of 24 px: cells of 3 px across and 4 px down.
        assert abs(x - (column + 0.5) * 3) <= (0.75 if 0 < column < 7 else 0)
        assert abs(y - (row + 0.5) * 4) <= (1 if 0 < row < 5 else 0)


def test_fine_decode_undoes_draw() -> None:
    joints = 8 + 112 * torch.rand(50, 16, 2, generator=torch.Generator().manual_seed(0))
    found, peaks = heatmap.decode(heatmap.draw(joints, 32, 128), 128, fine=True)
    torch.testing.assert_close(found, joints, atol=1e-3, rtol=0)
    assert (peaks > 0.77).all()  # exp(-1/4): half a cell aside in both axes


def test_fine_decode_by_hand() -> None:
    """The top of the parabola through three logs, in each axis by itself; flat, lone and negative maps stay finite."""
    maps = torch.zeros(1, 6, 8, 8)
    maps[0, 0, 2, 6] = 1.0
    maps[0, 0, 2, 5], maps[0, 0, 2, 7] = 0.2, 0.3  # to the right
    maps[0, 0, 1, 6], maps[0, 0, 3, 6] = 0.3, 0.2  # up
    maps[0, 2, 3, 4] = 1.0  # alone: no side is higher
    maps[0, 3, 3, 4], maps[0, 3, 3, 5] = 1.0, 1.0  # two alike: the border between them
    maps[0, 4] = -1.0
    maps[0, 4, 3, 4] = -0.5
    maps[0, 5, 0, 7] = 1.0  # in a corner: its cell's middle
    found, peaks = heatmap.decode(maps, 32, fine=True)
    aside = np.log(0.3 / 0.2) / (2 * -np.log(0.3 * 0.2))
    np.testing.assert_allclose(found[0, 0].numpy(), [(6.5 + aside) * 4, (2.5 - aside) * 4], rtol=1e-6)
    assert found[0, 1:].tolist() == [[2, 2], [18, 14], [20, 14], [18, 14], [30, 2]]
    assert peaks[0].tolist() == [1, 0, 1, 1, -0.5, 1]


def test_fine_decode_stays_within_half_a_cell_of_the_peak() -> None:
    maps = torch.randn(64, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    flat = maps.flatten(2).argmax(-1)
    middle = torch.stack([flat % 16, flat // 16], -1) + 0.5
    apart = (heatmap.decode(maps, 64, fine=True)[0] / 4 - middle).abs()
    assert 0.4 < apart.max() <= 0.5 + 1e-6


def test_a_joint_outside_leaves_its_tail_only() -> None:
    maps = heatmap.draw(torch.tensor([[[-4.0, 32.0], [1e4, 1e4]]]), 16, 64)
    assert 0 < maps[0, 0].max() < 1
    assert maps[0, 0].argmax() % 16 == 0
    assert (maps[0, 1] == 0).all()
    found, peak = heatmap.decode(maps, 64)
    assert torch.isfinite(found).all() and peak[0, 1] == 0
