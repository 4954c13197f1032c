"""What the machine can do at best: large matrix products and 3x3 convolutions, in each library and precision."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from clock import Job, Times
from torch import nn

from liftwild.errors import LiftwildError
from liftwild.inference.openvino_runtime import import_openvino, openvino_core

SIDE = 2048  # of the matrices
CHANNELS, CELLS, LAYERS = 256, 64, 4  # of the convolutions, one after the other, batch 1
FLOP = {"product": 2 * SIDE**3, "convolution": LAYERS * 2 * CELLS**2 * CHANNELS**2 * 9}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def torch_jobs(precision: str, device: str = "cpu") -> dict[str, Job]:
    """The two kernels in torch, by name; ``precision`` of ``DTYPES``."""
    dtype = DTYPES[precision]
    a, b = (torch.rand(SIDE, SIDE, device=device, dtype=dtype) for _ in range(2))
    convs = nn.Sequential(*(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False) for _ in range(LAYERS)))
    convs = convs.to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    maps = torch.rand(1, CHANNELS, CELLS, CELLS, device=device, dtype=dtype).to(memory_format=torch.channels_last)

    def run(kernel: Job) -> None:
        with torch.inference_mode():
            kernel()
            if device != "cpu":
                torch.cuda.synchronize()

    return {
        f"peak {precision}, torch product": partial(run, lambda: a @ b),
        f"peak {precision}, torch convolution": partial(run, lambda: convs(maps)),
    }


def openvino_jobs(precision: str) -> dict[str, Job]:
    """The two kernels in OpenVINO, by name; nothing where it is not installed."""
    try:
        ov = import_openvino()
    except LiftwildError:
        return {}
    op = ov.opset13
    core = openvino_core()
    settings: dict[str, str | int] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
    }
    rng = np.random.default_rng(0)

    def job(result: Any, given: Any) -> Job:
        model = ov.Model([op.result(result)], [given])
        request = core.compile_model(model, "CPU", settings).create_infer_request()
        values = rng.random(tuple(given.shape), np.float32)
        return lambda: request.infer({0: values}, share_inputs=True, share_outputs=True)

    left = op.parameter([SIDE, SIDE], np.float32)
    product = op.matmul(left, op.constant(rng.random((SIDE, SIDE), np.float32)), False, False)
    maps = op.parameter([1, CHANNELS, CELLS, CELLS], np.float32)
    last = maps
    for _ in range(LAYERS):
        kernel = op.constant(rng.random((CHANNELS, CHANNELS, 3, 3), np.float32) / (9 * CHANNELS))
        last = op.convolution(last, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
    return {
        f"peak {precision}, OpenVINO product": job(product, left),
        f"peak {precision}, OpenVINO convolution": job(last, maps),
    }


def best(found: Mapping[str, Times], precision: str) -> tuple[float, str]:
    """FLOP/s of the best of these kernels, and which it was."""
    rates = {
        name.partition(", ")[2]: FLOP[name.split()[-1]] / times.median
        for name, times in found.items()
        if name.startswith(f"peak {precision},")
    }
    which = max(rates, key=lambda name: rates[name])
    return rates[which], which
