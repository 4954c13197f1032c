"""The detector's network as an ONNX graph: what runs it outside torch."""

from __future__ import annotations

import numpy as np
import torch

from liftwild.detection.network import MEAN, STD, Block, CspStage, DetectorNet
from liftwild.inference.onnx_graph import Writer

PHOTOS, CELLS = "photos", "cells"


def detector_graph(net: DetectorNet) -> bytes:
    """The ONNX file of ``net``, on the CPU.

    Input ``photos`` (B, S, S, 3) uint8 RGB, S = ``config.input_px``; output ``cells`` (B, C, 1 + 4 bins) fp32, as
    ``network.split_cells`` takes it. LiftwildError without the onnx package.
    """
    return _DetectorWriter().file(net)


class _DetectorWriter(Writer):
    def file(self, net: DetectorNet) -> bytes:
        """The whole."""
        side = net.config.input_px
        with torch.no_grad():
            self._detector(net)
        taken, given = ("photos", side, side, 3), ("photos", "cells", 1 + 4 * net.config.bins)
        return self.written("liftwild-detector", {PHOTOS: taken}, {CELLS: given})

    def _detector(self, net: DetectorNet) -> None:
        """As ``DetectorNet.forward``, up to the cells."""
        x = self.add("Transpose", self.add("Cast", PHOTOS, to=self.onnx.TensorProto.FLOAT), perm=[0, 3, 1, 2])
        scale, shift = (torch.tensor(each).reshape(1, 3, 1, 1) for each in (STD, MEAN))
        x = self.add("Mul", x, self.constant(1 / (255 * scale)))
        x = self.chain(self.add("Sub", x, self.constant(shift / scale)), net.stem)
        features = []
        for i, stage in enumerate(net.stages):
            assert isinstance(stage, CspStage)
            x = self._stage(x, stage)
            if i > 0:
                features.append(self.chain(x, [net.laterals[i - 1]]))
        fine, middle, coarse = features
        middle = self.add("Add", middle, self._twice(coarse))
        fine = self.add("Add", fine, self._twice(middle))
        middle = self.add("Add", middle, self._half(fine))
        coarse = self.add("Add", coarse, self._half(middle))
        outputs = 1 + 4 * net.config.bins
        flat = self.constant([0, outputs, -1], np.int64)
        levels = zip(net.heads, (fine, middle, coarse), strict=True)
        maps = [self.add("Reshape", self.chain(level, [head]), flat) for head, level in levels]
        self.add("Transpose", self.add("Concat", *maps, axis=2), perm=[0, 2, 1], out=CELLS)

    def _stage(self, x: str, stage: CspStage) -> str:
        """As ``CspStage.forward``."""
        around = x = self.chain(x, [stage.enter])
        for block in stage.blocks:
            assert isinstance(block, Block)
            first = self.chain(x, [block.first])
            x = self.add("Concat", self.chain(first, [block.second]), first, axis=1)
        return self.add("Concat", self.chain(x, [stage.leave]), around, axis=1)

    def _twice(self, x: str) -> str:
        """As ``network.doubled``."""
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.add("Resize", x, "", self.constant([1, 1, 2, 2]), **how)

    def _half(self, x: str) -> str:
        """The mean of 2 x 2."""
        return self.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
