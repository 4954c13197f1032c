"""One person's 3D pose with NumPy, OpenCV and ONNX Runtime alone: person.jpg, square, which one person fills.

small.onnx is what ``liftwild export small --to onnx`` writes. liftwild does the same, and in addition leaves joints in
the outermost cells where they are, cuts the crop around a box, and lets only bones in the photo decide the scale.
"""

import json

import cv2
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("small.onnx")
about = session.get_modelmeta().custom_metadata_map
names, side = json.loads(about["joint_names"]), int(about["input_px"])

photo = cv2.imread("person.jpg")[:, :, ::-1]
factor = max(1, len(photo) // side)  # whole blocks first, since bilinear sampling skips pixels
shrunk = cv2.resize(photo, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
scale = side / len(shrunk)
crop = cv2.warpAffine(shrunk, np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]]), (side, side))
outputs = ["heatmaps", "depth", "inside", "joints"]
heatmaps, depth, inside, guessed = (found[0] for found in session.run(outputs, {"crops": crop[None]}))

cells = heatmaps.shape[-1]
row, column = np.divmod(heatmaps.reshape(len(names), -1).argmax(axis=1), cells)
around = np.log(np.pad(heatmaps, ((0, 0), (1, 1), (1, 1))).clip(1e-6))
near = np.stack(
    [around[j, r : r + 3, c : c + 3] for j, (r, c) in enumerate(zip(row, column, strict=True))]
)  # 3 x 3 cells


def top(low, middle, high):  # of the parabola through three logs: cells from the middle one
    return ((high - low) / (2 * (2 * middle - low - high).clip(1e-6))).clip(-0.5, 0.5)


x = (column + 0.5 + top(near[:, 1, 0], near[:, 1, 1], near[:, 1, 2])) / cells  # of the crop's side
y = (row + 0.5 + top(near[:, 0, 1], near[:, 1, 1], near[:, 2, 1])) / cells
found = np.stack([2 * x - 1, 2 * y - 1], axis=1)
flat = np.where(inside[:, None] > 0, found, guessed)  # joints outside the photo: where the lifter puts them

pose = np.column_stack([flat, depth])
pose -= pose[names.index("pelvis")]
length = sum(np.linalg.norm(pose[a] - pose[b]) for a, b in json.loads(about["scale_bones"]))
pose *= float(about["sum_length_mm"]) / length  # mm: x right, y down, z away from the camera

for name, joint in zip(names, pose, strict=True):
    print(name, *joint.round())
