"""ASF and AMC files: bones where they are, orders, units and presets, and faults in one line."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.synthetic.mocap.motion import read_asf_amc
from tests.support.files import Write
from tests.support.motion_files import AMC, ASF


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
