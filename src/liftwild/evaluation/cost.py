"""What forward pass and training cost, beside the paper's: a bench file of ``benchmarks/cost.py`` as a table."""

from __future__ import annotations

from pathlib import Path

from liftwild.errors import LiftwildError
from liftwild.evaluation.paper import paper_cost
from liftwild.evaluation.tables import markdown_table
from liftwild.schema import load_json

FORMAT = "liftwild-cost"
MAX_NUMBER = 1e12  # of any of them
NUMBERS = ("forward_ms", "step_ms", "steps")


def cost_table(path: Path) -> str:
    """The paper's times and those in the file ``path``, as Markdown; LiftwildError if that is no bench file."""
    cost = load_json(path)
    known = isinstance(cost, dict) and cost.get("format") == FORMAT
    if not known or not all(_is_positive(cost.get(name)) for name in NUMBERS):
        raise LiftwildError(f"{path} is not a file of 'python benchmarks/cost.py -o {path.name}'")
    days = cost["step_ms"] * cost["steps"] / (24 * 3600 * 1e3)
    ours = (f"{cost['forward_ms']:.1f} ms", f"{days:.1f} days, {cost['steps']:,.0f} steps of {cost['step_ms']:.0f} ms")
    theirs = paper_cost()
    rows = [("paper", *theirs), (f"ours, measured: {cost.get('machine', 'unknown machine')!s}", *ours)]
    return "### Time of the paper's network\n\n" + markdown_table(("", "forward pass", "training"), rows)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_NUMBER
