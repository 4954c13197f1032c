"""Motion capture: what the readers make of BVH and ASF/AMC, and which frames are taken."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.rotation import matrix_about
from liftwild.synthetic.mocap.motion import read_asf_amc, read_bvh, read_motion, retarget, spread_frames
from tests.support.files import Write
from tests.support.puppet import HEADS, NAMES, PARENTS, puppet

# --- BVH ---

TINY = """HIERARCHY
ROOT Hips
{
  OFFSET 0 90 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Chest
  {
    OFFSET 0 10 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT Head
    {
      OFFSET 0 20 0
      CHANNELS 1 Xrotation
      End Site
      {
        OFFSET 0 5 0
      }
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.04
1 2 3 0 0 0 0 0 0 0
1 2 3 90 0 0 0 90 0 90
"""


def test_bvh_positions_by_hand(write: Write) -> None:
    motion = read_bvh(write(TINY))
    assert motion.names == ("Hips", "Chest", "Head") and motion.parents == (-1, 0, 1)
    assert motion.frame_time_s == 0.04 and len(motion) == 2
    # Frame 1: hips 90 deg about z take y to -x, so the chest is at -x; the chest's 90 deg about its own x (the world's
    # y) takes its y (the world's -x) to the world's z.
    np.testing.assert_allclose(
        motion.positions(), [[[1, 2, 3], [1, 12, 3], [1, 32, 3]], [[1, 2, 3], [-9, 2, 3], [-9, 2, 23]]], atol=1e-12
    )
    np.testing.assert_allclose(motion.rest_positions, [[0, 0, 0], [0, 10, 0], [0, 30, 0]])
    np.testing.assert_allclose(motion.ends[2], [0, 5, 0])
    assert np.isnan(motion.ends[:2]).all()
    # The head's own 90 deg about x: y at rest is taken to z by itself, to the world's x by the chest and hips.
    np.testing.assert_allclose(motion.rotations[1, 2] @ [0, 5, 0], [5, 0, 0], atol=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("  ", "\t").replace(" ", "\t").replace("End\tSite", "End Site"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n{", " {").replace("}\n}", "} }"),
        lambda text: text.replace("1 2 3 90 0", "1.0e0 +2E+0 300e-2 9.0e1 -0.0"),
        lambda text: text.replace("Zrot", "ZROT").replace("HIERARCHY", "Hierarchy").replace("Frames: ", "frames:"),
        lambda text: text.replace("MOTION", "\nMOTION\n") + "\n  \n",
        lambda text: text.replace("Frame Time: 0.04\n", "Frame Time:\t.04  \n").replace("End Site", "End site"),
        lambda text: text.replace("CHANNELS 1 Xrotation", "CHANNELS 2 Yposition Xrotation")
        .replace("0 0 0 0\n", "0 0 0 20 0\n").replace("90 0 90\n", "90 0 20 90\n"),
    ],
    ids=["crlf", "tabs", "bom", "braces", "exponents", "case", "blank lines", "spaces", "positions"],
)  # fmt: skip
def test_bvh_is_read_however_it_is_written(write: Write, change: Callable[[str], str]) -> None:
    motion, other = read_bvh(write(TINY)), read_bvh(write(change(TINY)))
    np.testing.assert_allclose(other.positions(), motion.positions(), atol=1e-12)
    np.testing.assert_allclose(other.rotations, motion.rotations, atol=1e-12)
    assert other.names == motion.names and other.frame_time_s == motion.frame_time_s


def test_bvh_positions_of_joints_are_whole_or_on_top(write: Write) -> None:
    text = TINY.replace("CHANNELS 1 Xrotation", "CHANNELS 2 Yposition Xrotation")
    whole = text.replace("0 0 0 0\n", "0 0 0 20 0\n").replace("90 0 90\n", "90 0 22 90\n")
    on_top = text.replace("0 0 0 0\n", "0 0 0 0 0\n").replace("90 0 90\n", "90 0 2 90\n")
    for each in (whole, on_top):
        np.testing.assert_allclose(read_bvh(write(each)).positions()[1, 2], [-9, 2, 25], atol=1e-12)
    rootless = TINY.replace("CHANNELS 6 Xposition Yposition Zposition", "CHANNELS 4 Xposition")
    rootless = rootless.replace("1 2 3", "1")
    np.testing.assert_allclose(read_bvh(write(rootless)).positions()[0, 0], [1, 90, 0])


def test_channel_order_does_not_matter(write: Write) -> None:
    figure = puppet()
    expected = read_bvh(write(figure.text())).positions()
    for orders in [*permutations("XYZ")]:
        found = read_bvh(write(figure.text(["".join(orders)])))
        np.testing.assert_allclose(found.positions(), expected, atol=1e-6)
    mixed = read_bvh(write(figure.text(["XYZ", "ZYX", "YXZ", "XZY"], places=True)))
    np.testing.assert_allclose(mixed.positions(), expected, atol=1e-6)


BVH_FAULTS = {
    "empty": (lambda t: " \n", "the file is empty"),
    "binary": (lambda t: "Kaydara FBX Binary\0", "not a text file"),
    "something else": (lambda t: "hello", "line 1: no BVH file"),
    "no motion": (lambda t: t[: t.index("MOTION")], "line 20: no MOTION"),
    "cut in the hierarchy": (lambda t: t[: t.index("      End")], "braces of the hierarchy stay open"),
    "cut in an offset": (lambda t: t[: t.index(" 5 0")], "line 16: the hierarchy ends where a number of an OFFSET"),
    "cut after MOTION": (lambda t: t[: t.index("Frames")], "'Frames: ' and a number"),
    "cut after Frames": (lambda t: t[: t.index("Frame Time")], "'Frame Time: ' and a number"),
    "cut in a frame": (lambda t: t[:-8], "line 25: 7 numbers in frame 2, but the joints have 10 channels; is the file"),
    "frame missing": (lambda t: t[: t.rindex("1 2 3")], "line 22: Frames says 2, but 1 follow"),
    "frame too many": (lambda t: t.replace("Frames: 2", "Frames: 1"), "line 22: Frames says 1, but 2 follow"),
    "no frames": (lambda t: t.replace("Frames: 2", "Frames: 0"), "line 22: Frames should be a whole number above 0"),
    "no time": (lambda t: t.replace("0.04", "0"), "line 23: Frame Time should be above 0"),
    "odd row": (lambda t: t.replace("1 2 3 0 0 0", "1 2 3 0 0", 1), "line 24: 9 numbers in frame 1"),
    "nan": (lambda t: t.replace("1 2 3 90", "1 nan 3 90"), "line 25: a value of frame 2 is NaN"),
    "infinite": (lambda t: t.replace("1 2 3 90", "1 2 3 1e999"), "line 25: a value of frame 2 is NaN or inf"),
    "comma": (lambda t: t.replace("1 2 3 90", "1 2,5 3 90"), "line 25: '2,5' is no number; write decimals with a dot"),
    "word": (lambda t: t.replace("OFFSET 0 10", "OFFSET 0 ten"), "line 8: 'ten' is no number"),
    "nan offset": (lambda t: t.replace("OFFSET 0 10", "OFFSET 0 nan"), "line 8: 'nan' is no number"),
    "channel": (lambda t: t.replace("1 Xrotation", "1 Xscale"), "line 13: unknown channel 'Xscale' of 'Head'"),
    "channel count": (lambda t: t.replace("S 1 Xr", "S 2 Xr"), "line 14: unknown channel 'End' of 'Head'"),
    "channel twice": (lambda t: t.replace("S 1 X", "S 2 Xrotation X"), "line 13: channel 'Xrotation' of 'Head' is"),
    "no count": (lambda t: t.replace("S 1 X", "S X"), "line 13: CHANNELS of 'Head' begins with 'Xrotation'"),
    "no channels": (
        lambda t: t.replace("CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation", "")
        .replace("CHANNELS 3 Zrotation Xrotation Yrotation", "").replace("CHANNELS 1 Xrotation", ""),
        "line 21: no joint has channels",
    ),
    "two people": (lambda t: t.replace("MOTION", "ROOT B\n{\nOFFSET 0 0 0\n}\nMOTION"), "line 21: a second ROOT"),
    "no root": (lambda t: t.replace("ROOT", "JOINT"), "line 2: JOINT outside of ROOT"),
    "joint in an end": (lambda t: t.replace("OFFSET 0 5 0", "JOINT A {"), "line 16: JOINT outside of ROOT"),
    "no name": (lambda t: t.replace("JOINT Head", "JOINT"), "line 10: JOINT without a name"),
    "no offset": (lambda t: t.replace("    OFFSET 0 10 0\n", ""), "joint 'Chest' has no OFFSET"),
    "odd word": (lambda t: t.replace("OFFSET 0 10", "SCALE 0 10"), "line 8: 'SCALE' where ROOT, JOINT, End Site"),
    "no skeleton": (lambda t: "HIERARCHY\n" + t[t.index("MOTION") :], "the hierarchy has no ROOT"),
    "closing brace": (lambda t: t.replace("JOINT Head\n    {", "JOINT Head\n    }"), "line 11: '}' where '{'"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BVH_FAULTS.values(), ids=BVH_FAULTS)
def test_bvh_faults_are_one_clear_line(write: Write, change: Callable[[str], str], message: str) -> None:
    path = write(change(TINY))
    with pytest.raises(LiftwildError) as caught:
        read_bvh(path)
    said = str(caught.value)
    assert message in said and said.startswith(str(path)) and "\n" not in said, said


# --- ASF/AMC ---

ASF = """# made up
:version 1.10
:name VICON
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
   .asf written by hand
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name lfemur
     direction 0 -1 0
     length 7
     axis 0 0 90 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
     id 2
     name ltibia
     direction 0 -1 0
     length 6
     axis 0 0 90 XYZ
    dof rx
    limits (-10.0 170.0)
  end
  begin
     id 3
     name lfoot
     direction 0 0 1
     length 2
     axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root lfemur
    lfemur ltibia
    ltibia lfoot
  end
"""
AMC = """#!OML:ASF x.asf
:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 0 0 0
lfemur 0 0 0
ltibia 0
2
root 1 2 3 0 90 0
lfemur 0 0 90
ltibia 90
"""


def test_asf_positions_by_hand(write: Write) -> None:
    motion = read_asf_amc(write(ASF, "x.asf"), write(AMC, "x.amc"))
    assert motion.names == ("root", "lfemur", "ltibia", "lfoot") and motion.parents == (-1, 0, 1, 2)
    assert motion.frame_time_s == pytest.approx(1 / 120)
    np.testing.assert_allclose(motion.rest_positions, [[0, 0, 0], [0, 0, 0], [0, -7, 0], [0, -13, 0]])
    at = motion.positions()
    np.testing.assert_allclose(at[0], [[1, 2, 3], [1, 2, 3], [1, -5, 3], [1, -11, 3]], atol=1e-12)
    # Frame 2: the femur's 90 deg about z takes -y to x, the root's 90 deg about y takes x to -z. The tibia's x axis is
    # y at rest (its axis turns x to y): 90 deg about it leave -y, which the femur takes to x and the root to -z.
    np.testing.assert_allclose(at[1], [[1, 2, 3], [1, 2, 3], [1, 2, -4], [1, 2, -10]], atol=1e-12)
    # The foot's z at rest: to x by the tibia, to y by the femur, which the root leaves.
    np.testing.assert_allclose(motion.rotations[1, 3] @ motion.ends[3], [0, 2, 0], atol=1e-12)


def test_asf_orders_units_and_presets(write: Write) -> None:
    plain = read_asf_amc(write(ASF, "x.asf"), write(AMC, "x.amc"))
    reordered = ASF.replace("TX TY TZ RX RY RZ", "rz ry rx tz ty tx")
    reordered = reordered.replace("dof rx ry rz", "dof rz ry rx l")
    amc = AMC.replace("root 1 2 3 0 0 0", "root 0 0 0 3 2 1").replace("root 1 2 3 0 90 0", "root 0 90 0 3 2 1")
    amc = amc.replace("lfemur 0 0 0", "lfemur 0 0 0 0").replace("lfemur 0 0 90", "LFemur 90 0 0 1.5")
    other = read_asf_amc(write(reordered, "y.asf"), write(amc, "y.amc"))
    np.testing.assert_allclose(other.positions(), plain.positions(), atol=1e-12)
    quarter = str(np.pi / 2)
    radians = AMC.replace(":DEGREES", ":RADIANS").replace("90", quarter)
    other = read_asf_amc(write(ASF, "y.asf"), write(radians, "y.amc"))
    np.testing.assert_allclose(other.positions(), plain.positions(), atol=1e-12)
    all_radians = ASF.replace("angle deg", "angle rad").replace("0 0 90 XYZ", f"0 0 {quarter} xyz")
    other = read_asf_amc(write(all_radians, "y.asf"), write(radians.replace(":RADIANS\n", ""), "y.amc"))
    np.testing.assert_allclose(other.positions(), plain.positions(), atol=1e-12)
    # ZYX turns about z first, then y: z takes -y to x, y takes x to -z. XYZ does the same, in the other order.
    for order, sent in (("ZYX", [0, 0, -7]), ("XYZ", [7, 0, 0])):
        preset = ASF.replace("axis XYZ", f"axis {order}").replace("orientation 0 0 0", "orientation 0 90 90")
        still = AMC.replace("root 1 2 3 0 90 0", "root 1 2 3 0 0 0").replace("lfemur 0 0 90", "lfemur 0 0 0")
        preset = preset.replace("position 0 0 0", "position -1 -2 -3")
        at = read_asf_amc(write(preset, "y.asf"), write(still, "y.amc")).positions()
        np.testing.assert_allclose(at[0, 2], sent, atol=1e-12)
        np.testing.assert_allclose(at[0, 0], 0, atol=1e-12)
    # Order of the angles: about x first leaves x where it is, then z takes it to y; z first takes x to y, x then to z.
    for order, sent in (("rx ry rz", [0, 1, 0]), ("rz ry rx", [0, 0, 1])):
        ordered = ASF.replace("dof rx ry rz", f"dof {order}").replace(
            "axis 0 0 90 XYZ\n    dof r", "axis 0 0 0\n    dof r"
        )
        values = AMC.replace("lfemur 0 0 0", "lfemur 90 0 90")
        turned = read_asf_amc(write(ordered, "y.asf"), write(values, "y.amc")).rotations[0, 1]
        np.testing.assert_allclose(turned @ [1, 0, 0], sent, atol=1e-12)


ASF_FAULTS = {
    "empty asf": ("asf", lambda t: "", "the file is empty"),
    "no asf": ("asf", lambda t: "hello\n", "line 1: no ASF file"),
    "cut asf": ("asf", lambda t: t[: t.index(":hierarchy")], "the file has no :hierarchy"),
    "cut bone": ("asf", lambda t: t.replace("  end\n:hier", ":hier"), "bone 'lfoot' has no end"),
    "no length": ("asf", lambda t: t.replace("     length 7\n", ""), "line 16: bone 'lfemur' lacks one of name, dir"),
    "short direction": ("asf", lambda t: t.replace("direction 0 0 1", "direction 0 0"), "line 39: 'direction' should"),
    "word": ("asf", lambda t: t.replace("length 7", "length long"), "line 20: 'long' is no number"),
    "axis": ("asf", lambda t: t.replace("0 0 90 XYZ", "0 0 90 XXZ", 1), "line 21: 'XXZ' is no order of axes"),
    "dof": ("asf", lambda t: t.replace("dof rx\n", "dof bend\n"), "line 33: 'bend' should be one of tx"),
    "twice": ("asf", lambda t: t.replace("name lfoot", "name LTibia"), "line 36: bone 'LTibia' is there twice"),
    "unknown child": ("asf", lambda t: t.replace("lfemur ltibia", "lfemur shin"), "line 46: bone 'shin' of the hier"),
    "loose bone": ("asf", lambda t: t.replace("    ltibia lfoot\n", ""), "line 36: bone 'lfoot' does not hang"),
    "two parents": ("asf", lambda t: t.replace("ltibia lfoot", "ltibia lfoot lfemur"), "'lfemur' hangs below two"),
    "no order": ("asf", lambda t: t.replace("   order TX TY TZ RX RY RZ\n", ""), ":root has no order"),
    "empty amc": ("amc", lambda t: "\n", "the file is empty"),
    "no frames": ("amc", lambda t: ":DEGREES\n", "the file has no frames"),
    "no amc": ("amc", lambda t: "hello there\n", "line 1: no AMC file"),
    "other skeleton": ("amc", lambda t: t.replace("ltibia", "rtibia"), "line 7: bone 'rtibia' is not in the"),
    "too few": ("amc", lambda t: t.replace("lfemur 0 0 90", "lfemur 0 0"), "line 10: 'lfemur' has 2 values, and 3 in"),
    "cut amc": ("amc", lambda t: t[: t.rindex("ltibia")], "line 8: frame 2 and the first one differ in"),
    "nan amc": ("amc", lambda t: t.replace("ltibia 90", "ltibia nan"), "line 11: 'nan' is no number"),
    "bone twice": ("amc", lambda t: t + "ltibia 0\n", "line 12: bone 'ltibia' is twice in a frame"),
}  # fmt: skip


@pytest.mark.parametrize(("which", "change", "message"), ASF_FAULTS.values(), ids=ASF_FAULTS)
def test_asf_faults_are_one_clear_line(write: Write, which: str, change: Callable[[str], str], message: str) -> None:
    asf = write(change(ASF) if which == "asf" else ASF, "x.asf")
    amc = write(change(AMC) if which == "amc" else AMC, "x.amc")
    with pytest.raises(LiftwildError) as caught:
        read_asf_amc(asf, amc)
    said = str(caught.value)
    assert message in said and said.startswith(str(asf if which == "asf" else amc)) and "\n" not in said, said


# --- files and folders ---


def test_read_motion_finds_what_it_needs(write: Write, tmp_path: Path) -> None:
    for name in ("b.bvh", "A.BVH", ".hidden.bvh"):
        write(TINY, name)
    write("nothing", "notes.txt")
    write(ASF, "01.asf")
    write(ASF.replace("length 7", "length 9"), "02.asf")
    write(AMC, "02_07.amc")
    found = read_motion(tmp_path)
    assert [Path(motion.source).name for motion in found] == ["02_07.amc", "A.BVH", "b.bvh"]
    np.testing.assert_allclose(found[0].rest_positions[2], [0, -9, 0])
    assert len(read_motion(tmp_path / "b.bvh")) == len(read_motion(str(tmp_path / "02_07.amc"))) == 1


def test_read_motion_says_what_is_missing(write: Write, tmp_path: Path) -> None:
    def said(path: Path) -> str:
        with pytest.raises(LiftwildError) as caught:
            read_motion(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no .bvh or .amc" in said(tmp_path)
    assert "no such file or folder" in said(tmp_path / "nowhere.bvh")
    amc = write(AMC, "05_01.amc")
    assert "no .asf file" in said(amc) and "05.asf" in said(amc)
    only = write(ASF, "skeleton.asf")
    assert len(read_motion(amc)) == 1
    write(ASF, "other.asf")
    assert "several .asf files" in said(amc)
    assert ".amc files with an .asf beside them" in said(only)


def test_frames_are_chosen(write: Write) -> None:
    motion = read_bvh(write(puppet(frames=8).text()))
    every = retarget(motion, NAMES, PARENTS, HEADS)
    np.testing.assert_array_equal(retarget(motion, NAMES, PARENTS, HEADS, [6, 1]), every[[6, 1]])
    np.testing.assert_array_equal(retarget(motion, NAMES, PARENTS, HEADS, slice(2, 4)), every[2:4])
    np.testing.assert_allclose(motion.positions([6, 1]), motion.positions()[[6, 1]])


# --- frames that differ ---


def test_spread_frames_keeps_frames_that_differ(write: Write) -> None:
    figure = puppet(frames=41)  # 0.05 s a frame
    figure.local[:] = np.eye(3)
    elbow = figure.names.index("LeftForeArm")
    figure.local[:, elbow] = matrix_about(1, np.radians(np.r_[np.arange(0, 41, 2), np.arange(38, -1, -2)]))
    figure.local[:, 0] = matrix_about(1, np.radians(np.arange(41) * 9.0))  # turning on the spot is no change
    motion = read_bvh(write(figure.text()))
    # 4 degrees a step of 0.1 s: 16 of them from the first, then 32; on the way back nothing is new.
    assert spread_frames(motion).tolist() == [0, 8, 16]
    assert spread_frames(motion, min_change_deg=0).tolist() == list(range(0, 41, 2))
    assert spread_frames(motion, step_s=1, min_change_deg=0).tolist() == [0, 20, 40]
    assert spread_frames(motion, step_s=0.001, min_change_deg=39).tolist() == [0, 20]
    figure.local[30, 0] = matrix_about(0, np.radians(80))  # lying down is
    assert spread_frames(read_bvh(write(figure.text()))).tolist() == [0, 8, 16, 30]
