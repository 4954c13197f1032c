"""The network run on crops: in torch, ONNX Runtime or OpenVINO."""
