"""The losses against plain loops written from the equations, their gradients, and their edge cases."""

import math

import numpy as np
import pytest
import torch

from liftwild.heatmap import decode
from liftwild.heatmap_torch import as_heatmaps, draw
from liftwild.losses import (
    Masked,
    depth_loss,
    geometric_loss,
    heatmap_cross_entropy,
    heatmap_loss,
    shared_target,
    side_doubt,
)
from liftwild.skeleton import MPII_16, RATIO_GROUPS

J = 16


def random_batch(seed: int, batch: int = 5, missing: float = 0.3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Depths, 2D joints in [-1, 1] and validity, float64."""
    g = torch.Generator().manual_seed(seed)
    depth = torch.randn(batch, J, generator=g, dtype=torch.float64) * 0.3
    joints = torch.rand(batch, J, 2, generator=g, dtype=torch.float64) * 2 - 1
    return depth, joints, torch.rand(batch, J, generator=g) > missing


def geometric_by_hand(depth: torch.Tensor, joints: torch.Tensor, valid: torch.Tensor) -> float:
    """Eq. 3, one image, group and bone at a time."""
    total = 0.0
    for n in range(len(depth)):
        for group in RATIO_GROUPS.values():
            longest = max(length for _, length in group)
            ratios = []
            for (a, b), length in group:
                if valid[n, a] and valid[n, b]:
                    x = [float(joints[n, a, k] - joints[n, b, k]) for k in (0, 1)] + [float(depth[n, a] - depth[n, b])]
                    ratios.append(math.sqrt(sum(v * v for v in x)) / (length / longest))
            if ratios:
                mean = sum(ratios) / len(ratios)
                total += sum((ratio - mean) ** 2 for ratio in ratios) / len(ratios)
    return total


@pytest.mark.parametrize("seed", range(5))
def test_geometric_equals_eq3(seed: int) -> None:
    depth, joints, valid = random_batch(seed, missing=0.1 * seed)
    loss = geometric_loss(depth, joints, valid)
    assert loss.count == len(depth)
    assert float(loss.total) == pytest.approx(geometric_by_hand(depth, joints, valid), rel=1e-12)


def test_depth_equals_eq2() -> None:
    pred, target, valid = torch.tensor([[1.0, 2.0], [3.0, 9.0]]), torch.zeros(2, 2), torch.tensor([[1, 1], [1, 0]]) > 0
    loss = depth_loss(pred, target, valid)
    assert (float(loss.total), int(loss.count)) == ((1 + 4) / 2 + 9, 2)


@pytest.mark.parametrize("with_3d", [2, 4])
def test_a_batch_weighs_losses_as_eq4(with_3d: int) -> None:
    """Losses of an image, averaged over the whole batch: gradients as of a plain loop, in a mixed and in a 3D batch."""
    g = torch.Generator().manual_seed(0)
    depth, joints, _ = random_batch(4, batch=4)
    maps, target_maps = (torch.rand(4, J, 8, 8, generator=g, dtype=torch.float64) for _ in range(2))
    target, has_3d = torch.randn(4, J, generator=g, dtype=torch.float64), torch.arange(4) < with_3d
    labelled = torch.ones(4, J, dtype=torch.bool)

    def ours(d: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        return (
            heatmap_loss([m], target_maps, labelled).mean()
            + 0.1 * depth_loss(d, target, labelled & has_3d[:, None]).mean()
            + 0.01 * geometric_loss(d, joints, labelled & ~has_3d[:, None]).mean()
        )

    def plain(d: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        images = []
        for n in range(4):
            loss = ((m[n] - target_maps[n]) ** 2).mean()
            if has_3d[n]:
                loss = loss + 0.1 * ((d[n] - target[n]) ** 2).mean()
            else:
                one = slice(n, n + 1)
                loss = loss + 0.01 * geometric_loss(d[one], joints[one], labelled[one]).total
            images.append(loss)
        return torch.stack(images).mean()

    inputs = depth.requires_grad_(), maps.requires_grad_()
    for got, wanted in zip(*(torch.autograd.grad(loss(*inputs), inputs) for loss in (ours, plain)), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("weight", [0.0, 10.0])
def test_heatmap_equals_eq1(weight: float) -> None:
    g = torch.Generator().manual_seed(0)
    stacks = [torch.rand(2, 3, 4, 4, generator=g) for _ in range(2)]
    target, valid = torch.rand(2, 3, 4, 4, generator=g), torch.tensor([[True, False, True], [False, False, True]])
    total = 0.0
    for maps in stacks:
        for n in range(2):
            for j in range(3):
                for y in range(4):
                    for x in range(4):
                        if valid[n, j]:
                            t = float(target[n, j, y, x])
                            total += (1 + weight * t) * (float(maps[n, j, y, x]) - t) ** 2
    loss = heatmap_loss(stacks, target, valid, weight)
    assert float(loss.total) == pytest.approx(total, rel=1e-5)
    assert int(loss.count) == 3 * 16


def test_heatmap_target_is_a_gaussian_at_the_joint() -> None:
    joints = torch.tensor([[[10.0, 22.0]]])  # px of a 64 px input: cells of 4 px, centres (2, 5)
    maps = draw(joints, 16, 64)
    assert maps[0, 0, 5, 2] == 1
    assert float(maps[0, 0, 5, 3]) == pytest.approx(math.exp(-0.5))
    assert float(maps[0, 0, 7, 3]) == pytest.approx(math.exp(-2.5))


def test_gradients() -> None:
    depth, joints, valid = random_batch(1)
    depth.requires_grad_()
    assert torch.autograd.gradcheck(lambda d: geometric_loss(d, joints, valid).mean(), depth)
    assert torch.autograd.gradcheck(lambda d: depth_loss(d, torch.zeros_like(depth), valid).mean(), depth)
    maps = torch.rand(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    target, known = torch.rand(2, 3, 4, 4, dtype=torch.float64), torch.tensor([[True, False, True], [False] * 3])
    assert torch.autograd.gradcheck(lambda m: heatmap_loss([m, 2 * m], target, known, 3.0).mean(), maps)


def test_zero_length_bones_have_finite_gradients() -> None:
    depth = torch.zeros(2, J, requires_grad=True)
    loss = geometric_loss(depth, torch.zeros(2, J, 2), torch.ones(2, J, dtype=torch.bool))
    loss.mean().backward()
    assert float(loss.total.detach()) == 0 and depth.grad is not None and (depth.grad == 0).all()
    # One bone of length 0 among others: those still pull, the gradient stays finite.
    _, joints, _ = random_batch(3, batch=2)
    joints[:, 0] = joints[:, 1]
    depth = torch.zeros(2, J, dtype=torch.float64, requires_grad=True)
    geometric_loss(depth, joints, torch.ones(2, J, dtype=torch.bool)).mean().backward()
    assert depth.grad is not None and depth.grad.isfinite().all()


def test_missing_groups_and_empty_batches_are_zero() -> None:
    depth, joints, _ = random_batch(0)
    arms = [bone for (bone, _) in RATIO_GROUPS["arms"]]
    only_arms = torch.zeros(5, J, dtype=torch.bool)
    only_arms[:, [j for bone in arms for j in bone]] = True
    assert float(geometric_loss(depth, joints, only_arms).total) > 0
    for valid in (torch.zeros(5, J, dtype=torch.bool), torch.eye(J)[:5] > 0):
        leaf = depth.clone().requires_grad_()
        losses: list[Masked] = [geometric_loss(leaf, joints, valid), depth_loss(leaf, leaf.detach() + 1, valid & False)]
        for loss in losses:
            assert float(loss.mean().detach()) == 0
            loss.mean().backward()
        assert leaf.grad is not None and (leaf.grad == 0).all()
    maps = torch.ones(1, 2, 4, 4, requires_grad=True)
    empty = heatmap_loss([maps], torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, dtype=torch.bool))
    empty.mean().backward()
    assert float(empty.mean().detach()) == 0 and maps.grad is not None and (maps.grad == 0).all()


def test_an_unlabelled_joint_has_no_say_even_as_nan() -> None:
    depth, joints, valid = random_batch(2)
    target = torch.where(valid, 0.5, math.nan)
    assert depth_loss(depth, target, valid).total.isfinite()
    maps = torch.rand(5, J, 2, 2, requires_grad=True)
    loss = heatmap_loss([maps], target.float()[..., None, None].expand(5, J, 2, 2), valid)
    loss.mean().backward()
    assert loss.total.isfinite() and maps.grad is not None and maps.grad.isfinite().all()
    moved = torch.where(valid[..., None], joints, joints + 100)
    torch.testing.assert_close(geometric_loss(depth, moved, valid).total, geometric_loss(depth, joints, valid).total)


def test_geometric_sees_neither_place_nor_turn_nor_other_joints() -> None:
    depth, joints, valid = random_batch(4)
    before = geometric_loss(depth, joints, valid).total
    torch.testing.assert_close(geometric_loss(depth + 3, joints - 0.7, valid).total, before)
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    torch.testing.assert_close(geometric_loss(depth, joints @ turn.T, valid).total, before)
    torch.testing.assert_close(geometric_loss(-depth, joints, valid).total, before)
    head = MPII_16.index("head_top")  # no bone of any group ends there
    elsewhere = depth.clone()
    elsewhere[:, head] += 5
    torch.testing.assert_close(geometric_loss(elsewhere, joints, valid).total, before)


def test_geometric_grows_with_the_square_of_size() -> None:
    depth, joints, valid = random_batch(4)
    before = geometric_loss(depth, joints, valid).total
    torch.testing.assert_close(geometric_loss(3 * depth, 3 * joints, valid).total, 9 * before)


def test_a_canonical_skeleton_costs_nothing() -> None:
    """Bones in canonical proportion, whatever their directions, have variance 0."""
    g = torch.Generator().manual_seed(0)
    joints = torch.zeros(1, J, 3, dtype=torch.float64)
    # From the root of each chain outward, a bone of canonical length in a random direction.
    for chain in ([(6, 2), (2, 1), (1, 0)], [(6, 3), (3, 4), (4, 5)], [(8, 12), (12, 11), (11, 10)],
                  [(8, 13), (13, 14), (14, 15)]):  # fmt: skip
        for start, end in chain:
            length = next(mm for group in RATIO_GROUPS.values() for bone, mm in group if set(bone) == {start, end})
            direction = torch.randn(3, generator=g, dtype=torch.float64)
            joints[0, end] = joints[0, start] + direction / direction.norm() * length / 1000
    loss = geometric_loss(joints[..., 2], joints[..., :2], torch.ones(1, J, dtype=torch.bool))
    assert float(loss.total) == pytest.approx(0, abs=1e-15)


def test_cell_loss_is_cross_entropy_to_the_shares() -> None:
    g = torch.Generator().manual_seed(4)
    stacks = [torch.randn(2, 3, 4, 4, generator=g, dtype=torch.float64) for _ in range(2)]
    target = torch.rand(2, 3, 4, 4, generator=g, dtype=torch.float64)
    target[0, 1] = 0  # far outside the map
    target[1, 2] = torch.nan  # unlabelled
    valid = torch.tensor([[True, True, True], [True, True, False]])
    total = 0.0
    for n, j in ((0, 0), (0, 2), (1, 0), (1, 1)):
        for maps in stacks:
            odds = [math.exp(float(x)) for x in maps[n, j].flatten()]
            share = [float(x) / float(target[n, j].sum()) for x in target[n, j].flatten()]
            total -= sum(s * math.log(o / sum(odds)) for s, o in zip(share, odds, strict=True))
    loss = heatmap_cross_entropy(stacks, target, valid)
    assert (float(loss.total), int(loss.count)) == (pytest.approx(total, rel=1e-12), 4)
    shifted = heatmap_cross_entropy([maps + 1000 for maps in stacks], target, valid)
    assert float(shifted.total) == pytest.approx(total, rel=1e-9)


def test_cell_loss_gradient_and_empty_mask() -> None:
    maps = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    target = draw(torch.tensor([[[5.0, 6.0], [9.0, 2.0]]], dtype=torch.float64), 4, 16)
    known = torch.tensor([[True, False]])
    assert torch.autograd.gradcheck(lambda m: heatmap_cross_entropy([m, 2 * m], target, known).mean(), maps)
    empty = heatmap_cross_entropy([maps], target, torch.zeros(1, 2, dtype=torch.bool)).mean()
    (gradient,) = torch.autograd.grad(empty, maps)
    assert float(empty.detach()) == 0 and not gradient.any()


def test_side_doubt_is_bayes_rule() -> None:
    """Two joints whose one cell each is labelled: chances by hand; the third has no label, and says nothing."""
    chance = torch.tensor([[[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.1, 0.4], [1.0, 0.0, 0.0, 0.0]]], dtype=torch.float64)
    maps = chance.clamp(min=1e-30).log().view(1, 3, 2, 2).repeat(2, 1, 1, 1) + 7
    target, swapped = torch.zeros(2, 3, 4, dtype=torch.float64), torch.zeros(2, 3, 4, dtype=torch.float64)
    target[0, 0, 1] = target[0, 1, 2] = 0.5  # of any sum
    swapped[0, 0, 3] = swapped[0, 1, 0] = 0.1
    target[:, 2] = torch.nan
    valid = torch.tensor([[True, True, False]] * 2)
    target, swapped = target.view(2, 3, 2, 2), swapped.view(2, 3, 2, 2)
    likelier = 0.4 * 0.25 / (0.2 * 0.1)
    found = side_doubt(maps, target, swapped, valid, 0.05)
    expected = [0.05 * likelier / (0.05 * likelier + 0.95), 0.05]  # the second person is outside: the share itself
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=0)
    torch.testing.assert_close(side_doubt(maps, swapped, target, valid, 0.5)[0], 1 / (1 + found.new_tensor(likelier)))


def test_heatmaps_of_a_target_peak_at_1_where_it_does() -> None:
    """A network that says of each cell what the target says is sure, and decoding finds the joint again."""
    joints = torch.tensor([[[22.0, 38.0], [41.0, 17.5]]])
    target = draw(joints, 16, 64)
    maps = as_heatmaps(target.clamp(min=1e-12).log() + 5)
    torch.testing.assert_close(maps.flatten(2).max(dim=-1).values, torch.ones(1, 2), atol=0.05, rtol=0)
    assert np.abs(decode(maps.numpy(), 64)[0] - joints.numpy()).max() <= 1.0


def test_the_likeliest_neighbourhood_wins_over_the_likeliest_cell() -> None:
    share = torch.full((1, 1, 16, 16), 1e-9)
    share[0, 0, 2, 3] = 0.3
    share[0, 0, 10:12, 11:13] = 0.17
    (((x, y),),) = decode(as_heatmaps(share.log()).numpy(), 64)[0].tolist()
    assert 44 <= x <= 52 and 40 <= y <= 48


def test_a_teacher_has_its_share_of_the_target() -> None:
    target = torch.zeros(1, 3, 2, 2)
    target[0, 0, 0, 1], target[0, 1, 1, 1] = 0.5, 1.0  # whatever they sum to; the third joint has no label
    teacher = torch.log(torch.tensor([[[0.1, 0.2], [0.3, 0.4]], [[1.0, 0.0], [0.0, 0.0]], [[0.7, 0.1], [0.1, 0.1]]]))
    shared = shared_target(target, teacher[None], 0.25)[0]
    assert torch.allclose(shared[0], torch.tensor([[0.025, 0.8], [0.075, 0.1]]))
    assert torch.allclose(shared[1], torch.tensor([[0.25, 0.0], [0.0, 0.75]]))
    assert not shared[2].any()
