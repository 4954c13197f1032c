"""Have OpenSim read the TRC files of a folder, scale a model with the marker set beside them, run its inverse
kinematics to the end, and play the MOT files on the same model; ``make check-opensim`` runs this where ``opensim`` is
installed.

The model has the names, axes and joint centres of the one that ``liftwild.io.opensim_markers`` names, without muscles
and with the knee and elbow as plain hinges.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import opensim

MAX_RMS_MM = 40.0  # of the markers: what the model, whose joints are hinges and balls, cannot follow of the poses
MAX_PLAYED_MM, MAX_DEG = 60.0, 15.0  # of our coordinates: markers, and from those of inverse kinematics
UNMEASURED = ("hip_rotation", "arm_rot")  # that of nearly straight limbs is nobody's to know
PLACES = ("pelvis_tx", "pelvis_ty", "pelvis_tz")  # coordinates in m; the others are degrees
UNWEIGHTED = ("upper_neck", "head_top")  # lie where people have them on average


def bare_model() -> opensim.Model:
    """Bodies with their joints, m: x forward, y up, z to the right; coordinates turn about z, then x, then y."""
    model = opensim.Model()
    model.setName("check")
    bodies = {"ground": model.getGround()}

    def add(
        name: str,
        parent: str,
        place: tuple[float, float, float],
        turns: Sequence[tuple[str, str]] = (),
        moves: str = "",
    ) -> None:
        body = bodies[name] = opensim.Body(name, 5.0, opensim.Vec3(0), opensim.Inertia(0.1, 0.1, 0.1))
        model.addBody(body)
        zero = opensim.Vec3(0)
        places = (bodies[parent], opensim.Vec3(*place), zero, body, zero, zero)
        if turns:
            model.addJoint(opensim.CustomJoint(f"{name}_joint", *places, turned(turns, moves)))
        else:
            model.addJoint(opensim.WeldJoint(f"{name}_joint", *places))

    add("pelvis", "ground", (0, 0, 0), [("pelvis_tilt", "z"), ("pelvis_list", "x"), ("pelvis_rotation", "y")], "pelvis")
    add("torso", "pelvis", (-0.1007, 0.0815, 0),
        [("lumbar_extension", "z"), ("lumbar_bending", "x"), ("lumbar_rotation", "y")])  # fmt: skip
    for letter, sign, out in (("r", 1, ""), ("l", -1, "-")):
        hip, arm = (
            [(f"{name}_{letter}", axis) for name, axis in zip(names, ("z", out + "x", out + "y"), strict=True)]
            for names in (("hip_flexion", "hip_adduction", "hip_rotation"), ("arm_flex", "arm_add", "arm_rot"))
        )
        add(f"femur_{letter}", "pelvis", (-0.0563, -0.0785, sign * 0.0773), hip)
        add(f"tibia_{letter}", f"femur_{letter}", (0, -0.41, 0), [(f"knee_angle_{letter}", "-z")])
        add(f"talus_{letter}", f"tibia_{letter}", (0, -0.40, 0))
        add(f"humerus_{letter}", "torso", (0.0032, 0.3715, sign * 0.17), arm)
        add(f"ulna_{letter}", f"humerus_{letter}", (0.013, -0.286, sign * -0.0096), [(f"elbow_flex_{letter}", "z")])
        add(f"hand_{letter}", f"ulna_{letter}", (-0.02, -0.248, sign * 0.03))
    model.finalizeConnections()
    return model


def turned(turns: Sequence[tuple[str, str]], moves: str) -> opensim.SpatialTransform:
    """Coordinates that turn about axes (``"-z"``), one after the other; with ``moves`` also MOVES_tx, _ty and _tz."""
    transform = opensim.SpatialTransform()
    axes = [transform.updTransformAxis(i) for i in range(6)]
    for axis, (name, about) in zip(axes, turns, strict=False):
        sign = -1 if about.startswith("-") else 1
        connect(axis, name, [sign * float(about[-1] == letter) for letter in "xyz"])
    if len(turns) == 1:  # the other two axes stay square to the first
        for axis, direction in zip(axes[1:3], ((1, 0, 0), (0, 1, 0)), strict=True):
            axis.setAxis(opensim.Vec3(*direction))
    for axis, letter in zip(axes[3:], "xyz", strict=True):
        if moves:
            connect(axis, f"{moves}_t{letter}", [float(letter == other) for other in "xyz"])
    return transform


def connect(axis: opensim.TransformAxis, name: str, direction: Sequence[float]) -> None:
    """Let the coordinate ``name`` turn or move along ``direction``."""
    names = opensim.ArrayStr()
    names.append(name)
    axis.setCoordinateNames(names)
    axis.setAxis(opensim.Vec3(*direction))
    axis.set_function(opensim.LinearFunction(1.0, 0.0))


# Body, its axes, the markers whose distance scales them. A pelvis is as wide as hips, as high as the trunk asks.
SCALED_BY = [
    ("pelvis", "Z", ("left_hip", "right_hip")),
    ("pelvis", "XY", ("pelvis", "thorax")),
    ("torso", "XY", ("pelvis", "thorax")),
    ("torso", "Z", ("left_shoulder", "right_shoulder")),
] + [
    (f"{body}_{letter}", "XYZ", (f"{side}_{upper}", f"{side}_{lower}"))
    for side, letter in (("right", "r"), ("left", "l"))
    for body, upper, lower in (
        ("femur", "hip", "knee"), ("tibia", "knee", "ankle"), ("humerus", "shoulder", "elbow"),
        ("ulna", "elbow", "wrist"),
    )
]  # fmt: skip


def scaled_model(trc: Path, markers: Path, work: Path) -> Path:
    """The model in the size of the person of ``trc``, by OpenSim's scale tool."""
    model = bare_model()
    model.updateMarkerSet(opensim.MarkerSet(str(markers)))
    model.finalizeConnections()
    model.printToXML(str(work / "generic.osim"))
    times = opensim.TimeSeriesTableVec3(str(trc)).getIndependentColumn()
    tool = opensim.ScaleTool()
    tool.getGenericModelMaker().setModelFileName(str(work / "generic.osim"))
    scaler = tool.getModelScaler()
    scaler.setApply(True)
    scaler.setMarkerFileName(str(trc))
    scaler.setOutputModelFileName(str(work / "scaled.osim"))
    span = opensim.ArrayDouble()
    for time in (times[0], times[-1]):
        span.append(time)
    scaler.setTimeRange(span)
    order = opensim.ArrayStr()
    order.append("measurements")
    scaler.setScalingOrder(order)
    for body, directions, pair in SCALED_BY:
        measurement = opensim.Measurement()
        measurement.setName(f"{body}_{directions}")
        measurement.getMarkerPairSet().cloneAndAppend(opensim.MarkerPair(*pair))
        scale = opensim.BodyScale()
        scale.setName(body)
        axes = opensim.ArrayStr()
        for axis in directions:
            axes.append(axis)
        scale.setAxisNames(axes)
        measurement.getBodyScaleSet().cloneAndAppend(scale)
        measurement.setApply(True)
        scaler.addMeasurement(measurement)
    tool.getMarkerPlacer().setApply(False)
    if not scaler.processModel(opensim.Model(str(work / "generic.osim")), "", 70.0):
        raise SystemExit(f"{trc.name}: OpenSim could not scale the model")
    return work / "scaled.osim"


def check(trc: Path, markers: Path, work: Path) -> None:
    """Scale, run inverse kinematics, and compare its rows and errors with what is wanted; SystemExit if not."""
    table = opensim.TimeSeriesTableVec3(str(trc))
    times = table.getIndependentColumn()
    tool = opensim.InverseKinematicsTool()
    model = opensim.Model(str(scaled_model(trc, markers, work)))
    tool.setModel(model)
    tool.setMarkerDataFileName(str(trc))
    tool.setStartTime(times[0])
    tool.setEndTime(times[-1])
    tool.setOutputMotionFileName(str(work / "ik.mot"))
    tool.setResultsDir(str(work))
    for name in table.getColumnLabels():
        task = opensim.IKMarkerTask()
        task.setName(name)
        task.setWeight(0.01 if name in UNWEIGHTED else 1.0)
        tool.upd_IKTaskSet().cloneAndAppend(task)
    tool.run()
    found = columns(work / "ik.mot")
    rows = len(found["time"])
    errors = opensim.TimeSeriesTable(str(next(work.glob("*ik_marker_errors.sto")))).getDependentColumn(
        "marker_error_RMS"
    )
    rms = sorted(1000 * errors[i] for i in range(errors.size()))
    middle = rms[len(rms) // 2]
    print(f"{trc.name}: {rows} rows, markers {middle:.1f} mm off the model (median of RMS), at most {rms[-1]:.1f} mm")
    if rows != len(times) or not middle < MAX_RMS_MM:
        raise SystemExit(f"{trc.name}: {len(times)} rows were given, and at most {MAX_RMS_MM:g} mm are wanted")
    play(trc.with_suffix(".mot"), model, table, found)


def columns(path: Path) -> dict[str, np.ndarray]:
    """The columns of a motion, by name, and ``time``."""
    table = opensim.TimeSeriesTable(str(path))
    out = {name: table.getDependentColumn(name).to_numpy() for name in table.getColumnLabels()}
    return out | {"time": np.array(table.getIndependentColumn())}


def play(
    mot: Path, model: opensim.Model, table: opensim.TimeSeriesTableVec3, by_markers: dict[str, np.ndarray]
) -> None:
    """Set the coordinates of ``mot`` on the scaled model, and say how far its markers are from those of the ``table``,
    and the coordinates from those that inverse kinematics found ``by_markers``; SystemExit if too far."""
    ours = columns(mot)
    state = model.initSystem()
    if len(ours["time"]) != len(by_markers["time"]) or np.abs(ours["time"] - by_markers["time"]).max() > 1e-5:
        raise SystemExit(f"{mot.name}: its times are not those of the TRC file")
    coordinates = {each.getName(): each for each in model.getCoordinateSet()}
    if missing := set(ours) - {"time"} - set(coordinates):
        raise SystemExit(f"{mot.name}: the model has no {', '.join(sorted(missing))}")
    given = {name: table.getDependentColumn(name) for name in table.getColumnLabels() if name not in UNWEIGHTED}
    markers = {name: model.getMarkerSet().get(name) for name in given}
    rms = []
    for row in range(len(ours["time"])):
        for name, coordinate in coordinates.items():
            value = float(ours[name][row])
            coordinate.setValue(state, value if name in PLACES else math.radians(value), False)
        model.realizePosition(state)
        off = np.array([
            markers[name].getLocationInGround(state).to_numpy() - given[name][row].to_numpy() for name in given
        ])  # fmt: skip
        rms.append(1000 * math.sqrt(np.nanmean((off**2).sum(axis=1))))
    print(f"{mot.name}: markers {np.median(rms):.1f} mm off the model (median of RMS), at most {max(rms):.1f} mm")
    far = [] if np.median(rms) < MAX_PLAYED_MM else [f"markers {MAX_PLAYED_MM:g} mm"]
    for name in coordinates:
        off = ours[name] - by_markers[name]
        off, unit = (1000 * off, "mm") if name in PLACES else ((off + 180) % 360 - 180, "degrees")
        mean = float(np.abs(off).mean())
        print(f"  {name}: {mean:.1f} {unit} from inverse kinematics, mean {off.mean():+.1f}")
        if name not in PLACES and not name.startswith(UNMEASURED) and not mean < MAX_DEG:
            far.append(f"{name} {MAX_DEG:g} degrees")
    if far:
        raise SystemExit(f"{mot.name}: too far off; wanted are at most {', '.join(far)}")


def main() -> None:
    """Check every TRC file of the folder that the command line names, and the MOT file of the same name."""
    folder = Path(sys.argv[1])
    files = sorted(folder.glob("*.trc"))
    if not files:
        raise SystemExit(f"{folder} holds no TRC files")
    opensim.Logger.setLevelString("off")
    for trc in files:
        (markers,) = folder.glob("*.markers.xml")
        with tempfile.TemporaryDirectory() as work:
            check(trc, markers, Path(work))


if __name__ == "__main__":
    main()
