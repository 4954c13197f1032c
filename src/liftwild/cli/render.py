"""``liftwild render``: synthetic people into a store."""

from __future__ import annotations

from contextlib import closing, nullcontext
from pathlib import Path

import click

from liftwild.console import say
from liftwild.threads import wait_kindly


@click.command("render")
@click.argument("mode", type=click.Choice(["lab", "wild"]))
@click.option("-n", "count", required=True, type=int, help="How many pictures.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The store to write, x.arrow.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same pictures on CPU.")
@click.option("--split", type=click.Choice(["train", "test"]), default="train", show_default=True)
@click.option("--backgrounds", type=click.Path(path_type=Path), help="Folder of photos to put wild people before.")
@click.option("--poses", type=click.Path(path_type=Path), help="Motion of your own: .bvh, .amc with .asf, or a folder.")
@click.option("--size", default=256, show_default=True, help="Side of the pictures, px.")
@click.option("--processes", default=2, show_default=True, type=click.IntRange(min=1), help="On CPU.")
@click.option("--device", default="cpu", show_default=True, help="What torch calls it: cpu, cuda, ...")
@click.option("--pictures", type=click.Path(path_type=Path), help="Also a folder of JPEGs with labels.json (COCO).")
@click.option("--sheet", type=click.Path(path_type=Path), help="Also a contact sheet of the first pictures, x.png.")
@click.option("--sheet-joints", is_flag=True, help="Draw the joints into the contact sheet.")
def render_command(
    mode: str,
    count: int,
    out: Path,
    seed: int,
    split: str,
    backgrounds: Path | None,
    poses: Path | None,
    size: int,
    processes: int,
    device: str,
    pictures: Path | None,
    sheet: Path | None,
    sheet_joints: bool,
) -> None:
    """Render clothed people with exact 2D and 3D joints into a store.

    lab: seven subjects in a studio, five of them for training. wild: anybody, anywhere.
    """
    wait_kindly()
    from tqdm import tqdm

    from liftwild.data.store import is_store
    from liftwild.files import check_output
    from liftwild.media.encoding import is_marked, write_png
    from liftwild.synthetic.render.generate import render_people
    from liftwild.synthetic.render.sheet import MAX_PICTURES, contact_sheet
    from liftwild.synthetic.render.write import check_pictures, with_pictures, write_store

    named = [path for path in (out, sheet, pictures) if path is not None]
    if len(set(named)) < len(named):
        raise click.UsageError("-o, --sheet and --pictures need different names")
    check_output(out, is_store)
    if sheet is not None:
        check_output(sheet, is_marked, "--sheet")
    if pictures is not None:
        check_pictures(pictures)
    samples = render_people(
        mode, count, seed, split=split, size=size, backdrops=backgrounds, poses=poses, processes=processes,
        device=device,
    )  # fmt: skip
    # After Ctrl-C or an error processes end at once. The pictures come last: where they are, so is all the rest, and
    # the same command may be given again where they are not.
    with closing(samples), nullcontext(samples) if pictures is None else with_pictures(samples, pictures) as kept:
        with tqdm(kept, total=count, unit="picture") as bar:
            shown = write_store(bar, out, keep=MAX_PICTURES if sheet else 0)
        if sheet is not None:
            write_png(sheet, contact_sheet(shown, sheet_joints))
    say(f"{count} pictures in {out}" + (f"; {len(shown)} of them in {sheet}" if sheet else ""))
