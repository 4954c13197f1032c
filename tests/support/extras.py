"""The libraries that a plain install lacks, by the names that they are imported by."""

from __future__ import annotations

# What computes faster: predicting loads it when it is there.
RUNTIME_LIBRARIES = {"onnx", "onnxruntime", "openvino"}
# What other commands, formats and figures need.
OTHER_LIBRARIES = {
    "lightning_fabric", "pyarrow", "tensorboard", "scipy", "h5py", "cdflib", "matplotlib", "pandas", "c3d", "fsspec",
}  # fmt: skip
# What the server needs.
SERVER_LIBRARIES = {
    "fastapi", "starlette", "uvicorn", "websockets", "python_multipart", "prometheus_client",
}  # fmt: skip
