"""From what was measured to large jobs: the tables of docs/scale-cost.md.

python benchmarks/extrapolate.py [--price 0.08]
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

CORES = 2  # of the machine that the price is of
GET, PUT = 0.40, 5.00  # assumed: a million requests to an object store


class Kind(NamedTuple):
    """Items of one kind: ms of one core each, and KB in and out; of benchmarks/batches.py."""

    core_ms: float
    in_kb: float
    out_kb: float


PHOTOS = 100_000_000
PHOTO_KINDS = {
    "512 px, `small`": Kind(11.7, 19, 0.72),
    "512 px, `base`": Kind(18.7, 19, 0.72),
    "1920 px, `small`": Kind(21.7, 278, 0.72),
    "4000 px, `small`": Kind(26.6, 1140, 0.72),
    "4000 px, `base`": Kind(32.1, 1140, 0.72),
}
FRAMES = 1000 * 3600 * 25
FRAME_KB = 8e6 / 8 / 25 / 1e3  # assumed: 8 Mbit/s
FRAME_KINDS = {"1080p, `small`": Kind(14.9, FRAME_KB, 1.23), "1080p, `base`": Kind(22.8, FRAME_KB, 1.23)}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--price", type=float, default=0.08, help=f"of an hour of a machine with {CORES} cores")
    price = parser.parse_args().price
    print("| | core hours | in one day | in, TB | out, GB | cost | a million cost |\n|---|---|---|---|---|---|---|")
    for name, kind in PHOTO_KINDS.items():
        print(row(f"100 million photos of {name}", kind, PHOTOS, price))
    for name, kind in FRAME_KINDS.items():
        print(row(f"1,000 hours of {name}", kind, FRAMES, price))
    print(f"\n{PHOTOS:,} files read one by one: {GET * PHOTOS / 1e6:.0f}; written one by one: {PUT * PHOTOS / 1e6:.0f}")


def row(name: str, kind: Kind, items: int, price: float) -> str:
    """A row of the table; ``items`` of a ``kind``."""
    hours = items * kind.core_ms / 3.6e6
    cost = hours / CORES * price
    return (
        f"| {name} | {hours:,.0f} | {hours / 24:,.0f} cores | {items * kind.in_kb / 1e9:,.1f} "
        f"| {items * kind.out_kb / 1e6:,.0f} | {cost:,.0f} | {cost / items * 1e6:.2f} |"
    )


if __name__ == "__main__":
    main()
