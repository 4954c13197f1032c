"""The ONNX graph of a PoseNet with a MobileNet and a lifter: ``graph.Writer`` for the parts that an hourglass lacks."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from liftwild.inference.onnx_graph import (
    CROPS,
    DEPTH,
    HEATMAPS,
    INSIDE,
    JOINTS,
    LOG_SPREAD,
    MAPS,
    VISIBLE,
    Shapes,
    Writer,
)
from liftwild.network import lifter as lifting
from liftwild.network.depth import ContextDepth
from liftwild.network.joint_head import MobileJoints, PlainResidual
from liftwild.network.lifter import COARSE, Lifter, LifterBlock
from liftwild.network.mobilenet import (
    TAPS,
    Head,
    InvertedResidual,
    MobileNet,
    MoveNet,
    SameConv,
    Separable,
    distances,
)
from liftwild.network.posenet import LOG_SPREAD as LIMITS
from liftwild.network.posenet import PoseNet
from liftwild.skeleton import COCO_17, DEPTH_ROOT

FEATURES = ("fine", "middle", "coarse", "keypoint_heatmaps", "regressed")  # what ``features`` gives
PREFIX = ("quarter", "eighth", "sixteenth", "middle", "last")  # what ``first_blocks`` gives


class MobileWriter(Writer):
    """Writes the whole graph of such a network."""

    def outputs(self, net: PoseNet) -> Shapes:
        """As ``Writer.outputs``, with what the depth module says beside depths."""
        joints = net.config.joints
        more = {name: ("people", joints) for name in (LOG_SPREAD, INSIDE, VISIBLE)}
        return {**super().outputs(net), **more, JOINTS: ("people", joints, 2)}

    def network(self, net: PoseNet) -> None:
        """As ``PoseNet.forward``, with what comes before and after it."""
        head, lifter, depth = net.subnetwork, net.lifter, net.depth
        assert isinstance(head, MobileJoints) and isinstance(lifter, Lifter) and isinstance(depth, ContextDepth)
        images = self.times(self.pixels(), 2 / 255)
        log_odds, middle, coarse = self.joints(self.add("Sub", images, self.constant(1.0)), head)
        log_odds = self.add("Identity", log_odds, out=f"{MAPS}0")
        chance = self.chance(log_odds, net)
        self.add("Identity", self.smoothed(chance, net), out=HEATMAPS)
        first = self.likeliest(chance, net)
        elsewhere = self.add("Mul", chance, self.add("Sub", self.constant(1.0), first["around"]))
        second = self.likeliest(elsewhere, net)
        lifted = self.lifted(first, second, lifter)
        share = self.coarse_share(chance)
        seen = self.seen(middle, coarse, share, first, second, lifted, depth)
        self.add("Add", lifted["depth"], seen["depth"], out=DEPTH)
        spread = self.add("Add", lifted["log_spread"], seen["log_spread"])
        self.add("Clip", spread, *(self.constant(limit) for limit in LIMITS), out=LOG_SPREAD)
        self.add("Identity", seen["inside"], out=INSIDE)
        self.add("Identity", seen["visible"], out=VISIBLE)
        self.add("Identity", lifted["joints"], out=JOINTS)

    def features(self, net: PoseNet) -> bytes:
        """The file of a graph that gives what MoveNet makes of crops: ``FEATURES``."""
        head, side = net.subnetwork, net.config.input_px
        assert isinstance(head, MobileJoints)
        with torch.no_grad():
            images = self.add("Sub", self.times(self.pixels(), 2 / 255), self.constant(1.0))
            maps = self.trunk(images, head.movenet.trunk)
            heatmaps = self.head(maps[0], head.movenet.heatmap)
            points = self.regressed(maps[0], head)
        for name, found in zip(FEATURES, (*maps, heatmaps, points), strict=True):
            self.add("Identity", found, out=name)
        cells = side // 4
        channels = head.movenet.trunk.channels
        shapes: Shapes = {
            FEATURES[0]: ("people", channels[0], cells, cells),
            FEATURES[1]: ("people", channels[1], cells // 4, cells // 4),
            FEATURES[2]: ("people", channels[2], cells // 8, cells // 8),
            FEATURES[3]: ("people", len(COCO_17), cells, cells),
            FEATURES[4]: ("people", len(COCO_17), 2),
        }
        return self.written("features", {CROPS: ["people", side, side, 3]}, shapes)

    def first_blocks(self, net: PoseNet, blocks: int) -> bytes:
        """The file of a graph that gives what the first ``blocks`` of MoveNet make of crops: ``PREFIX``."""
        head, side = net.subnetwork, net.config.input_px
        assert isinstance(head, MobileJoints)
        with torch.no_grad():
            images = self.add("Sub", self.times(self.pixels(), 2 / 255), self.constant(1.0))
            for name, found in zip(PREFIX, self.prefix(images, head.movenet.trunk, blocks), strict=True):
                self.add("Identity", found, out=name)
        shapes: Shapes = {name: ("people", "channels", "height", "width") for name in PREFIX}
        return self.written("first_blocks", {CROPS: ["people", side, side, 3]}, shapes)

    # Small steps.

    def times(self, x: str, factor: float) -> str:
        """``x`` times a number."""
        return self.add("Mul", x, self.constant(factor))

    def plus(self, *parts: str) -> str:
        """The sum of several."""
        total = parts[0]
        for part in parts[1:]:
            total = self.add("Add", total, part)
        return total

    def numbers(self, *values: int) -> str:
        """A constant of whole numbers."""
        return self.constant(list(values), np.int64)

    def shaped(self, x: str, *shape: int) -> str:
        """``x`` reshaped; 0 keeps an axis."""
        return self.add("Reshape", x, self.numbers(*shape))

    def sum(self, x: str, *axes: int, keep: bool = False) -> str:
        """The sum over axes."""
        return self.add("ReduceSum", x, self.numbers(*axes), keepdims=int(keep))

    def cut(self, x: str, axis: int, start: int, stop: int) -> str:
        """``x[start:stop]`` along an axis."""
        return self.add("Slice", x, self.numbers(start), self.numbers(stop), self.numbers(axis))

    def linear(self, x: str, layer: nn.Linear) -> str:
        """A linear layer on (people, inputs)."""
        bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias
        return self.add("Gemm", x, self.constant(layer.weight), self.constant(bias), transB=1)

    def layer_norm(self, x: str, layer: nn.LayerNorm) -> str:
        """A layer norm over the last axis."""
        return self.add(
            "LayerNormalization", x, self.constant(layer.weight), self.constant(layer.bias), axis=-1, epsilon=layer.eps
        )

    def relu6(self, x: str) -> str:
        """Between 0 and 6."""
        return self.add("Clip", x, self.constant(0.0), self.constant(6.0))

    def bilinear(self, x: str) -> str:
        """Twice as high and wide, as ``mobilenet.doubled``."""
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.add("Resize", x, "", self.constant([1, 1, 2, 2]), **how)

    def convolved(self, x: str, layer: nn.Conv2d) -> str:
        """A convolution with its groups, padded as the layer pads."""
        (stride, _), (size, _) = layer.stride, layer.kernel_size
        assert isinstance(layer.padding, tuple)
        pads = [0, 0, 1, 1] if isinstance(layer, SameConv) and stride == 2 else [*layer.padding, *layer.padding]
        inputs = [x, self.constant(layer.weight)] + ([] if layer.bias is None else [self.constant(layer.bias)])
        return self.add(
            "Conv", *inputs, kernel_shape=[size, size], strides=[stride, stride], pads=pads, group=layer.groups
        )

    # The sub-network.

    def inverted(self, x: str, block: InvertedResidual) -> str:
        """As ``InvertedResidual.forward``."""
        y = x if block.expand is None else self.relu6(self.convolved(x, block.expand))
        y = self.convolved(self.relu6(self.convolved(y, block.depthwise)), block.project)
        return self.add("Add", x, y) if block.adds else y

    def separable(self, x: str, layer: Separable | Head) -> str:
        """As ``Separable.forward``."""
        return self.add("Relu", self.convolved(self.convolved(x, layer.depthwise), layer.pointwise))

    def prefix(self, x: str, net: MobileNet, blocks: int) -> list[str]:
        """As ``MobileNet.prefix``: the maps of ``TAPS``, and the last."""
        x = self.relu6(self.convolved(x, net.stem))
        found = []
        for block in net.blocks[:blocks]:
            assert isinstance(block, InvertedResidual)
            x = self.inverted(x, block)
            found.append(x)
        return [*(found[last] for last in TAPS), x]

    def trunk(self, x: str, net: MobileNet) -> tuple[str, str, str]:
        """As ``MobileNet.forward``."""
        quarter, eighth, sixteenth, middle, x = self.prefix(x, net, len(net.blocks))
        y = self.convolved(self.relu6(self.convolved(x, net.last)), net.laterals[0])  # type: ignore[arg-type]
        for lateral, smooth, side in zip(net.laterals[1:], net.smooths, (sixteenth, eighth, quarter), strict=True):
            assert isinstance(lateral, nn.Conv2d) and isinstance(smooth, Separable)
            y = self.separable(self.add("Add", self.bilinear(y), self.convolved(side, lateral)), smooth)
        return y, middle, x

    def head(self, x: str, head: Head) -> str:
        """As ``Head.forward``."""
        return self.convolved(self.separable(x, head), head.out)

    def plain_residual(self, x: str, part: PlainResidual) -> str:
        """As ``PlainResidual.forward``."""
        y = self.add("Relu", self.convolved(self.add("Relu", x), part.enter))
        y = self.convolved(self.add("Relu", self.convolved(y, part.conv)), part.leave)
        return self.add("Add", x, y)

    def parts(self, x: str, parts: nn.Sequential) -> str:
        """Plain residuals, pools and ReLUs one after another."""
        for part in parts:
            if isinstance(part, PlainResidual):
                x = self.plain_residual(x, part)
            elif isinstance(part, nn.MaxPool2d):
                x = self.pool(x)
            elif isinstance(part, nn.ReLU):
                x = self.add("Relu", x)
            else:
                raise TypeError(f"the graph has no {type(part).__name__}")
        return x

    def joints(self, x: str, net: MobileJoints) -> tuple[str, str, str]:
        """As ``MobileJoints.forward``: log-odds, and the two maps of the context."""
        fine, middle, coarse = self.trunk(x, net.movenet.trunk)
        heatmaps = self.head(fine, net.movenet.heatmap)
        odds = self.times(self.add("Max", heatmaps, self.constant(-12.0)), 0.25)
        where = self.constant(net.where(net.grid))
        context = self.plus(
            self.convolved(middle, net.middle), self.bilinear(self.convolved(coarse, net.coarse)), where
        )
        context = self.parts(context, net.context)
        refined = self.plus(
            self.convolved(self.add("Concat", fine, odds, axis=1), net.fine),
            self.bilinear(self.convolved(context, net.down)),
        )
        out = self.convolved(self.parts(refined, net.refine), net.out)
        found = self.add("DepthToSpace", out, blocksize=2, mode="CRD")
        return self.plus(self.prior(fine, heatmaps, net), found), context, coarse

    def regressed(self, fine: str, net: MobileJoints) -> str:
        """As ``MoveNet.keypoints``: where the middle person's keypoints are said to be, x and y in cells."""
        side, movenet, number = net.cells * 4, net.movenet, len(COCO_17)
        weight = 1 / (distances(torch.full((1, 1, 2), side // 2).float(), side, side)[0] + MoveNet.NEAR)
        centre = self.add("Mul", self.add("Sigmoid", self.head(fine, movenet.centre)), self.constant(weight))
        at = self.add("ArgMax", self.shaped(centre, 0, -1), axis=1, keepdims=1)  # (people, 1)
        chosen = self.add("Equal", self.constant(np.arange(side * side)[None], np.int64), at)
        chosen = self.shaped(self.add("Cast", chosen, to=self.onnx.TensorProto.FLOAT), 0, 1, -1)
        away = self.shaped(self.head(fine, movenet.regress), 0, 2 * number, -1)
        away = self.shaped(self.sum(self.add("Mul", away, chosen), 2), 0, number, 2)
        rows, columns = np.divmod(np.arange(side * side), side)
        cells = np.stack([rows, columns])[None].astype(np.float32)
        middle = self.sum(self.add("Mul", self.constant(cells), chosen), 2)  # (people, 2)
        points = self.plus(away, self.shaped(middle, 0, 1, 2))  # it says y before x
        return self.add("Concat", self.cut(points, 2, 1, 2), self.cut(points, 2, 0, 1), axis=2)

    def prior(self, fine: str, heatmaps: str, net: MobileJoints) -> str:
        """As ``MobileJoints.prior``."""
        side = net.cells * 4
        points = self.add("MatMul", self.constant(net.place.weight), self.regressed(fine, net))
        grid = np.mgrid[:side, :side].astype(np.float32)
        squared = []
        for axis, line in ((0, grid[1]), (1, grid[0])):
            point = self.shaped(self.cut(points, 2, axis, axis + 1), 0, net.place.out_features, 1, 1)
            apart = self.add("Sub", self.constant(line[None, None]), point)
            squared.append(self.add("Mul", apart, apart))
        distance = self.add("Sqrt", self.plus(*squared, self.constant(1e-12)))
        near = self.add("Log", self.add("Add", distance, self.constant(MoveNet.NEAR)))
        sure = self.add("Neg", self.add("Softplus", self.add("Neg", heatmaps)))  # log sigmoid
        return self.add("Sub", self.convolved(sure, net.own), near)

    # Reading joints, lifting them.

    def likeliest(self, chance: str, net: PoseNet) -> dict[str, str]:
        """As ``lifter._likeliest``, by name."""
        joints, side = net.config.joints, net.config.heatmap_px
        coarse, unit = side // COARSE, 2 / side
        blurred = self.add(
            "AveragePool", self.coarse_share(chance), kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1],
            count_include_pad=1,
        )  # fmt: skip
        at = self.add("ArgMax", self.shaped(blurred, 0, joints, -1), axis=2, keepdims=1)  # (people, J, 1)
        chosen = self.add("Equal", self.constant(np.arange(coarse * coarse)[None, None], np.int64), at)
        chosen = self.add("Cast", chosen, to=self.onnx.TensorProto.FLOAT)
        cells = (np.arange(side, dtype=np.float32) + 0.5) * unit - 1
        middles = (np.arange(coarse, dtype=np.float32) + 0.5) * (COARSE * unit) - 1
        found: dict[str, str] = {}
        near, apart, place = {}, {}, {}
        for name, table in (("y", np.repeat(middles, coarse)), ("x", np.tile(middles, coarse))):
            place[name] = self.sum(self.add("Mul", chosen, self.constant(table[None, None])), 2, keep=True)
            apart[name] = self.add("Sub", self.constant(cells[None, None]), place[name])  # (people, J, side)
            held = self.add("LessOrEqual", self.add("Abs", apart[name]), self.constant(2 * lifting.REACH + 1e-4))
            near[name] = self.add("Cast", held, to=self.onnx.TensorProto.FLOAT)
        found["around"] = self.add(
            "Mul", self.shaped(near["y"], 0, joints, side, 1), self.shaped(near["x"], 0, joints, 1, side)
        )
        here = self.add("Mul", chance, found["around"])
        lines = {"y": self.sum(here, 3), "x": self.sum(here, 2)}
        found["mass"] = self.sum(lines["y"], 2, keep=True)  # (people, J, 1)
        known = self.add("Max", found["mass"], self.constant(1e-6))
        variance, ends = [], []
        for name in ("x", "y"):
            moved = self.add("Mul", lines[name], apart[name])
            mean = self.add("Div", self.sum(moved, 2, keep=True), known)
            square = self.add("Div", self.sum(self.add("Mul", moved, apart[name]), 2, keep=True), known)
            variance.append(self.add("Sub", square, self.add("Mul", mean, mean)))
            ends.append(self.add("Add", place[name], mean))
        spread = self.add("Max", self.plus(*variance), self.constant(1e-8))
        found["spread"] = self.add("Sqrt", spread)
        found["place"] = self.add("Concat", *ends, axis=2)  # (people, J, 2)
        return found

    def coarse_share(self, chance: str) -> str:
        """As ``lifter._coarse``."""
        pooled = self.add("AveragePool", chance, kernel_shape=[COARSE, COARSE], strides=[COARSE, COARSE])
        return self.times(pooled, float(COARSE**2))

    def lifted(self, first: dict[str, str], second: dict[str, str], net: Lifter) -> dict[str, str]:
        """As ``Lifter.forward``, by name."""
        weight = self.add("Add", first["mass"], self.constant(0.05))
        total = self.sum(weight, 1, keep=True)
        middle = self.add("Div", self.sum(self.add("Mul", first["place"], weight), 1, keep=True), total)
        away = self.add("Sub", first["place"], middle)
        square = self.sum(self.add("Mul", away, away), 2, keep=True)
        size = self.add("Div", self.sum(self.add("Mul", square, weight), 1, keep=True), total)
        size = self.add("Sqrt", self.add("Max", size, self.constant(1e-6)))  # (people, 1, 1)
        limits = self.constant(-lifting.FAR), self.constant(lifting.FAR)
        rival = self.add("Sub", second["place"], first["place"])
        inputs = self.add(
            "Concat",
            self.add("Clip", self.add("Div", away, size), *limits),
            self.add("Clip", self.add("Div", rival, size), *limits),
            self.add("Sub", self.times(first["mass"], 2.0), self.constant(1.0)),
            self.times(self.add("Min", self.add("Div", first["spread"], size), self.constant(1.0)), 4.0),
            self.times(second["mass"], 4.0),
            axis=2,
        )
        x = self.linear(self.add("Flatten", inputs, axis=1), net.enter)
        for block in net.blocks:
            assert isinstance(block, LifterBlock)
            y = self.add("Relu", self.linear(self.layer_norm(x, block.norm), block.first))
            x = self.add("Add", x, self.linear(y, block.second))
        x = self.add("Relu", self.layer_norm(x, net.norm))
        out = self.shaped(self.linear(x, net.leave), 0, net.joints, lifting.OUTPUTS)
        flat = self.shaped(size, 0, 1)
        depth = self.shaped(self.cut(out, 2, 0, 1), 0, net.joints)
        depth = self.add("Mul", self.add("Sub", depth, self.cut(depth, 1, DEPTH_ROOT, DEPTH_ROOT + 1)), flat)
        log_spread = self.shaped(self.cut(out, 2, 1, 2), 0, net.joints)
        log_spread = self.add("Clip", log_spread, *(self.constant(limit) for limit in lifting.LOG_SPREAD))
        joints = self.plus(first["place"], self.add("Mul", self.cut(out, 2, 2, 4), size))
        return {
            "depth": depth, "log_spread": self.plus(log_spread, self.add("Log", flat)), "joints": joints, "features": x,
        }  # fmt: skip

    def seen(
        self, middle: str, coarse: str, share: str, first: dict[str, str], second: dict[str, str],
        lifted: dict[str, str], net: ContextDepth,
    ) -> dict[str, str]:  # fmt: skip
        """As ``ContextDepth.forward``, by name."""
        x = self.convolved(self.add("Concat", middle, self.times(share, 4.0), axis=1), net.enter)
        x = self.parts(self.plus(self.parts(x, net.first), self.convolved(coarse, net.coarse)), net.second)
        each = self.convolved(self.add("Concat", self.bilinear(x), middle, axis=1), net.each)
        cells = self.add("Transpose", self.shaped(each, 0, net.each.out_channels, -1), perm=[0, 2, 1])
        read = self.add("MatMul", self.shaped(share, 0, net.joints, -1), cells)
        said = self.add(
            "Concat", first["place"], self.add("Sub", second["place"], first["place"]), first["mass"], second["mass"],
            self.shaped(lifted["depth"], 0, net.joints, 1), axis=2,
        )  # fmt: skip
        whole = self.add("Relu", self.convolved(self.add("Relu", x), net.whole))
        y = self.plus(
            self.linear(self.add("Flatten", whole, axis=1), net.of_whole),
            self.linear(self.add("Flatten", read, axis=1), net.of_each),
            self.linear(lifted["features"], net.of_lifter),
            self.linear(self.add("Flatten", said, axis=1), net.of_joints),
        )
        y = self.plus(y, self.linear(self.add("Relu", self.layer_norm(y, net.norm)), net.hidden))
        out = self.linear(self.add("Relu", self.layer_norm(y, net.leave)), net.out)
        out = self.shaped(out, 0, net.joints, 4)
        values = [self.shaped(self.cut(out, 2, i, i + 1), 0, net.joints) for i in range(4)]
        depth = self.add("Sub", values[0], self.cut(values[0], 1, DEPTH_ROOT, DEPTH_ROOT + 1))
        return {"depth": depth, "log_spread": values[1], "inside": values[2], "visible": values[3]}
