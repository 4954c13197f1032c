"""``liftwild angles``: joint angles of a recording."""

from __future__ import annotations

from pathlib import Path

import click

from liftwild.console import say, show
from liftwild.errors import LiftwildError


@click.command("angles")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Table of the angles: a .csv file.")
@click.option("--person", type=int, metavar="N", help="One person alone, by number.  [default: everybody]")
@click.option("--plot", type=click.Path(path_type=Path), metavar="PNG", help="Chart of the angles over time.")
@click.option("--mot", type=click.Path(path_type=Path), metavar="MOT", help="Motion for OpenSim's models.")
@click.option("--by", metavar="ANGLE", help="Count repetitions by the peaks of this angle: left_knee_flexion, ...")
@click.option("--min-confidence", default=0.5, show_default=True, type=click.FloatRange(0, 1),
              help="Leave out angles whose joints are less sure.")  # fmt: skip
def angles_command(
    recording: Path, out: Path | None, person: int | None, plot: Path | None, mot: Path | None, by: str | None,
    min_confidence: float,
) -> None:  # fmt: skip
    """Joint angles of the people in RECORDING, a file of 'predict' or of another program: json, npz, csv, trc, bvh.

    Prints how far each joint moves, left beside right. docs/angles.md says what each angle is, and how many degrees it
    may be off: nothing here is fit for clinical use. Of several people PNG and MOT are files a person:
    angles.person0.png, ...
    """
    from dataclasses import replace

    from liftwild.files import check_output
    from liftwild.io.angle_summary import angle_summary, cycles_summary
    from liftwild.io.angle_table import is_angles_csv, save_angles
    from liftwild.io.formats import is_ours, person_path, read_recording, save
    from liftwild.kinematics.angles import angle_index
    from liftwild.kinematics.upright import on_floor
    from liftwild.media.encoding import is_marked
    from liftwild.pose import hide
    from liftwild.viz.angle_chart import write_angle_chart
    from liftwild.viz.plots import check_matplotlib

    if by is not None:
        angle_index(by)
    if plot is not None:
        check_matplotlib()
    for path, suffix, option in ((out, ".csv", "-o"), (plot, ".png", "--plot"), (mot, ".mot", "--mot")):
        if path is not None and path.suffix != suffix:
            raise LiftwildError(f"{path}: {option} is a {suffix} file")
    found = read_recording(recording)
    if person is not None:
        found = replace(found, tracks=tuple(track for track in found.tracks if track.person_id == person))
        if not found.tracks:
            raise LiftwildError(f"{recording} has no person {person}")
    if not found.tracks:
        raise LiftwildError(f"{recording}: nobody was found in it")
    people = found.angles(min_confidence)
    plots = {} if plot is None else {
        person_path(plot, each.person_id) if len(people) > 1 else plot: each for each in people
    }  # fmt: skip
    mots = [] if mot is None else [
        person_path(mot, each.person_id) if len(people) > 1 else mot for each in people
    ]  # fmt: skip
    if out is not None:
        check_output(out, is_angles_csv)
    for path in plots:
        check_output(path, is_marked, "--plot")
    for path in mots:
        check_output(path, is_ours, "--mot")
    for angles in people:
        show(angle_summary(angles))
        if by is not None:
            cycles = angles.repetitions(by)
            times = "repetition" if len(cycles) == 1 else "repetitions"
            show(cycles_summary(cycles, f"{times} of {by.replace('_', ' ')}"))
    if out is not None:
        save_angles(people, out)
    contacts = {track.person_id: track.contacts for track in found.tracks}
    for path, angles in plots.items():
        write_angle_chart(path, angles, contacts[angles.person_id])
    written = []
    if mot is not None:
        floored = on_floor(found)  # with all joints, before the unsure are hidden
        written = save(replace(floored, tracks=tuple(hide(track, min_confidence) for track in floored.tracks)), mot)
    for path in [*([] if out is None else [out]), *plots, *written]:
        say(f"written: {path}")
