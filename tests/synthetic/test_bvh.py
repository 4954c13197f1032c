"""BVH files: joints where they are, however the file is written, and faults in one line."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.synthetic.mocap.motion import read_bvh
from tests.support.files import Write
from tests.support.motion_files import TINY
from tests.support.puppet import puppet


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
    "infinite": (lambda t: t.replace("1 2 3 90", "1 2 3 1e10"), "line 25: a value of frame 2 is NaN or too large"),
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
