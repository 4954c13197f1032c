"""The network: a 2D sub-network for the joints, a depth module on its features (Zhou et al. 2017, section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from liftwild.heatmap_torch import as_heatmaps
from liftwild.network.config import BASE, PAPER, SIZES, SMALL, PoseNetConfig
from liftwild.network.depth import ContextDepth, DepthModule
from liftwild.network.hourglass import Stack, StackedHourglass
from liftwild.network.joint_head import MobileJoints
from liftwild.network.lifter import Lifter, read_joints
from liftwild.network.mobilenet import Features, Keypoints, MoveNet, Prefix

LOG_SPREAD = (-6.0, 1.0)  # limits of ``Prediction.log_spread``

__all__ = [
    "BASE", "PAPER", "SIZES", "SMALL", "PoseNet", "PoseNetConfig", "Prediction", "macs", "outputs_of", "parameters",
]  # fmt: skip


class Prediction(NamedTuple):
    """What the network says of a batch of crops.

    ``heatmaps``: one (B, J, H, W) per stack, the last is the answer; log-odds where the network's config says
    ``softmax``, and ``infer`` makes them heatmaps. ``depth``: (B, J), relative to the thorax, in the
    [-1, 1] unit of the input (input_px / 2 = 1), or None if the depth module was not run.
    The rest of a network with a lifter alone, else None. ``log_spread`` (B, J): log of the expected error of ``depth``.
    ``inside``, ``visible`` (B, J): log-odds that the joint lies in the photo, and that nothing hides it. ``joints``
    (B, J, 2): where the lifter puts the joints, those outside the photo too, in the [-1, 1] unit. ``lifted`` (B, J):
    the lifter's depths by themselves.
    """

    heatmaps: list[Tensor]
    depth: Tensor | None
    log_spread: Tensor | None = None
    inside: Tensor | None = None
    visible: Tensor | None = None
    joints: Tensor | None = None
    lifted: Tensor | None = None


class PoseNet(nn.Module):
    """Crops in, heatmaps and depths out. Size and kind set by ``config``; parameters as PyTorch initialises them."""

    def __init__(self, config: PoseNetConfig = PAPER) -> None:
        super().__init__()
        self.config = config
        if config.subnetwork == "mobilenet":
            self.subnetwork: nn.Module = MobileJoints(config)
            self.lifter = Lifter(config.joints, config.lifter)
            self.depth: nn.Module = ContextDepth(config)
        else:
            self.subnetwork, self.depth = StackedHourglass(config), DepthModule(config)

    def forward(
        self, images: Tensor, with_depth: bool = True, pretrained: tuple[Features, Keypoints] | Prefix | None = None
    ) -> Prediction:
        """Predict from RGB crops.

        ``images`` (B, 3, S, S), float in [0, 1] or uint8 in [0, 255]; S is ``config.input_px``, or any multiple of 64
        if ``with_depth`` is False (an hourglass is convolutional, the depth module is not). ``pretrained``: what the
        MoveNet of this network, or its first blocks, make of the images, where that is known already.
        """
        if images.dtype == torch.uint8:
            images = images.float() / 255
        if pretrained is not None:
            assert isinstance(self.subnetwork, MobileJoints)
            if isinstance(pretrained, Prefix):
                pretrained = self.subnetwork.movenet.after(pretrained)
            found, features = self.subnetwork.found(*pretrained)
        else:
            found, features = self.subnetwork(images)
        if isinstance(found, list):  # per stack
            return Prediction(found, self.depth(features) if with_depth else None)
        if not with_depth:
            return Prediction([found], None)
        reading, share = read_joints(found)
        lifted, by_lifter = self.lifter(reading)
        seen = self.depth(features, share, reading, lifted, by_lifter)
        log_spread = (lifted.log_spread + seen.log_spread).clamp(*LOG_SPREAD)
        return Prediction(
            [found], lifted.depth + seen.depth, log_spread, seen.inside, seen.visible,
            lifted.joints, lifted.depth,
        )  # fmt: skip

    def init_from_shallower(self, other: PoseNet) -> None:
        """Take over the weights of a network of the same size or with fewer stacks, the depth module's too.

        Stacks beyond begin as copies of its last one that hand on their input as it came: depths stay what they were,
        and joints nearly so (docs/log.md). ValueError if it differs in anything else.
        """
        if not self.config.extends(other.config):
            raise ValueError(f"a network of {self.config} cannot take the weights of one of {other.config}")
        self.load_state_dict({**self.state_dict(), **other.state_dict()})
        if not isinstance(self.subnetwork, StackedHourglass) or not isinstance(other.subnetwork, StackedHourglass):
            return
        for stack in list(self.subnetwork.stacks)[len(other.subnetwork.stacks) :]:
            assert isinstance(stack, Stack)
            stack.load_state_dict(other.subnetwork.stacks[-1].state_dict())
            for hand_on in (stack.from_features, stack.from_heatmaps):
                for values in hand_on.parameters():
                    nn.init.zeros_(values)

    def init_from_pretrained(self, movenet: MoveNet) -> None:
        """Take over a MoveNet's weights; only for a network with a MobileNet."""
        assert isinstance(self.subnetwork, MobileJoints)
        self.subnetwork.movenet.load_state_dict(movenet.state_dict())

    def pretrained_modules(self, but_last: int = 0) -> list[nn.Module]:
        """What of a MobileNet came with pretrained weights, without its ``but_last`` last blocks and what follows them;
        empty for an hourglass."""
        if not isinstance(self.subnetwork, MobileJoints):
            return []
        movenet = self.subnetwork.movenet
        if not but_last:
            return [movenet]
        return [movenet.trunk.stem, *movenet.trunk.blocks[: len(movenet.trunk.blocks) - but_last]]

    def depth_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters that only the depths depend on: the depth module, and what feeds nothing else."""
        parts: list[nn.Module] = [self.depth]
        if isinstance(self.subnetwork, StackedHourglass):
            last = self.subnetwork.stacks[-1]
            assert isinstance(last, Stack)
            parts += [last.from_features, last.from_heatmaps]
        else:
            parts.append(self.lifter)
        for part in parts:
            yield from part.parameters()


def parameters(config: PoseNetConfig) -> int:
    """Number of parameters; no memory is taken for them."""
    with torch.device("meta"):
        return sum(values.numel() for values in PoseNet(config).parameters())


def macs(config: PoseNetConfig) -> int:
    """Multiply-accumulates of convolutions and linear layers for one image of ``config.input_px``."""
    total = 0

    def count(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += output.numel() * layer.in_channels // layer.groups * layer.kernel_size[0] * layer.kernel_size[1]
        elif isinstance(layer, nn.Linear):
            total += layer.in_features * layer.out_features

    with torch.device("meta"):  # shapes are worked out, nothing is computed
        net = PoseNet(config).to("meta")  # constants too
        for layer in net.modules():
            layer.register_forward_hook(count)
        net(torch.zeros(1, 3, config.input_px, config.input_px))
    return total


def outputs_of(pred: Prediction, softmax: bool) -> dict[str, Tensor]:
    """The last stack's answer, its log-odds made heatmaps where the network's config says ``softmax``, and what else
    there is of ``Prediction``; fp32, by the names of ``inference.decoding.Outputs``."""
    heatmaps = pred.heatmaps[-1].float()
    more = {name: getattr(pred, name) for name in ("depth", "log_spread", "inside", "visible", "joints")}
    return {
        "heatmaps": as_heatmaps(heatmaps) if softmax else heatmaps,
        **{name: each.float() for name, each in more.items() if each is not None},
    }
