"""The configuration of a tiny network."""

from __future__ import annotations

from liftwild.network.posenet import PoseNetConfig

TINY = PoseNetConfig(stacks=1, blocks=1, features=16, stem=8, input_px=64, depth_norm=True)
