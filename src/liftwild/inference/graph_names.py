"""The names of what goes into a network's graph and comes out of it."""

from __future__ import annotations

CROPS, HEATMAPS, DEPTH = "crops", "heatmaps", "depth"
LOG_SPREAD, INSIDE, VISIBLE, JOINTS = "depth_log_spread", "inside", "visible", "joints"  # of networks with a lifter
# What a graph gives, by its names there, and as ``Outputs`` has it.
OUTPUTS = {
    HEATMAPS: "heatmaps", DEPTH: "depth", LOG_SPREAD: "log_spread", INSIDE: "inside", VISIBLE: "visible",
    JOINTS: "joints",
}  # fmt: skip
