"""Have OpenSim read the TRC files of a folder, scale a model with the marker set beside them, and run its inverse
kinematics to the end; ``make check-opensim`` runs this where ``opensim`` is installed.

The model has the names, axes and joint centres of the one that ``liftwild.io.opensim_markers`` names, without muscles.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import opensim

MAX_RMS_MM = 40.0  # of the markers: what the model, whose joints are hinges and balls, cannot follow of the poses
UNWEIGHTED = ("upper_neck", "head_top")  # lie where people have them on average


def bare_model() -> opensim.Model:
    """Bodies with their joints, m: x forward, y up, z to the right."""
    model = opensim.Model()
    model.setName("check")
    bodies = {"ground": model.getGround()}

    def add(joint: type, name: str, parent: str, place: tuple[float, float, float]) -> None:
        body = bodies[name] = opensim.Body(name, 5.0, opensim.Vec3(0), opensim.Inertia(0.1, 0.1, 0.1))
        model.addBody(body)
        zero = opensim.Vec3(0)
        model.addJoint(joint(f"{name}_joint", bodies[parent], opensim.Vec3(*place), zero, body, zero, zero))

    add(opensim.FreeJoint, "pelvis", "ground", (0, 0, 0))
    add(opensim.BallJoint, "torso", "pelvis", (-0.1007, 0.0815, 0))
    for letter, sign in (("r", 1), ("l", -1)):
        add(opensim.BallJoint, f"femur_{letter}", "pelvis", (-0.0563, -0.0785, sign * 0.0773))
        add(opensim.PinJoint, f"tibia_{letter}", f"femur_{letter}", (0, -0.41, 0))
        add(opensim.WeldJoint, f"talus_{letter}", f"tibia_{letter}", (0, -0.40, 0))
        add(opensim.BallJoint, f"humerus_{letter}", "torso", (0.0032, 0.3715, sign * 0.17))
        add(opensim.PinJoint, f"ulna_{letter}", f"humerus_{letter}", (0.013, -0.286, sign * -0.0096))
        add(opensim.WeldJoint, f"hand_{letter}", f"ulna_{letter}", (-0.02, -0.248, sign * 0.03))
    model.finalizeConnections()
    return model


# Body -> pairs of markers whose distances scale it.
SCALED_BY = {
    "pelvis": [("left_hip", "right_hip")],
    "torso": [("pelvis", "thorax")],
} | {
    f"{body}_{letter}": [(f"{side}_{upper}", f"{side}_{lower}")]
    for side, letter in (("right", "r"), ("left", "l"))
    for body, upper, lower in (
        ("femur", "hip", "knee"), ("tibia", "knee", "ankle"), ("humerus", "shoulder", "elbow"),
        ("ulna", "elbow", "wrist"),
    )
}  # fmt: skip


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
    for body, pairs in SCALED_BY.items():
        measurement = opensim.Measurement()
        measurement.setName(body)
        for pair in pairs:
            measurement.getMarkerPairSet().cloneAndAppend(opensim.MarkerPair(*pair))
        scale = opensim.BodyScale()
        scale.setName(body)
        axes = opensim.ArrayStr()
        for axis in "XYZ":
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
    rows = opensim.TimeSeriesTable(str(work / "ik.mot")).getNumRows()
    errors = opensim.TimeSeriesTable(str(next(work.glob("*ik_marker_errors.sto")))).getDependentColumn(
        "marker_error_RMS"
    )
    rms = sorted(1000 * errors[i] for i in range(errors.size()))
    middle = rms[len(rms) // 2]
    print(f"{trc.name}: {rows} rows, markers {middle:.1f} mm off the model (median of RMS), at most {rms[-1]:.1f} mm")
    if rows != len(times) or not middle < MAX_RMS_MM:
        raise SystemExit(f"{trc.name}: {len(times)} rows were given, and at most {MAX_RMS_MM:g} mm are wanted")


def main() -> None:
    """Check every TRC file of the folder that the command line names."""
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
