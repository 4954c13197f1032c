"""Recipes as TOML files: those that ship, recipes that extend others, and errors that name the entry."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from liftwild.errors import LiftwildError
from liftwild.network.posenet import SIZES, PoseNetConfig
from liftwild.schema import build, checked, read_limited, shorter, shown
from liftwild.training.recipe import PHOTOS, PHOTOS_VAL, Recipe, check_recipe
from liftwild.training.stage import Stage

# Recipes that ship: in the package where a wheel put them, in a checkout in its own recipes/.
IN_PACKAGE = Path(__file__).parents[1] / "recipes"
SHIPPED = IN_PACKAGE if IN_PACKAGE.is_dir() else Path(__file__).parents[3] / "recipes"
MAX_EXTENDED = 4
MAX_MB = 1  # of a recipe


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with liftwild, those in folders as in ``ablation/3d-wo-geo``."""
    found = (path.relative_to(SHIPPED).with_suffix("").as_posix() for path in SHIPPED.rglob("*.toml"))
    return tuple(
        sorted((name for name in found if not name.startswith("parts/")), key=lambda name: (name.count("/"), name))
    )


def find_recipe(name_or_path: str | Path) -> Path:
    """Path of a recipe: a file, or a name without .toml of one that ships; a shipped name goes before a file.

    LiftwildError if a name is none of them; whether a .toml file is there, reading it tells.
    """
    path = Path(name_or_path)
    if str(path) in shipped_recipes():
        return SHIPPED / f"{path}.toml"
    if path.suffix == ".toml" or path.is_file():
        return path
    raise LiftwildError(
        f"no recipe named {str(path)!r}; {', '.join(shipped_recipes()) or 'none'} come with liftwild, "
        "or give the path of a .toml file"
    )


def load_recipe(path: str | Path, stores: dict[str, str] | None = None, network: PoseNetConfig | None = None) -> Recipe:
    """Read a recipe (a path, or a shipped name as in ``find_recipe``); ``stores`` replaces the paths of its stores by
    name, ``network`` is what ``size = "from"`` means.

    LiftwildError names the file and the entry that is missing, unknown, of the wrong type or out of range.
    """
    path = find_recipe(path)
    return recipe_from_dict(read_table(path), str(path), stores, network)


def read_table(path: Path, extended: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The TOML of a recipe as nested dicts, laid over that of the recipe that it ``extends``: the name of one that
    ships, or a path relative to its own folder. Errors as in ``load_recipe``."""
    try:
        table = tomllib.loads(read_limited(path, MAX_MB).decode("utf-8"))
    except LiftwildError as error:
        more = f"; the one that ships is called {path.stem}" if path.stem in shipped_recipes() else ""
        raise LiftwildError(f"cannot read recipe {error}{more}") from None
    except (ValueError, RecursionError) as error:
        why = "lists in lists, hundreds deep" if isinstance(error, RecursionError) else shorter(str(error), 200)
        raise LiftwildError(f"{path} is not TOML that can be read: {why}") from None
    base = table.pop("extends", None)
    if base is None:
        return table
    if not isinstance(base, str):
        raise LiftwildError(f"{path}: extends must be the name or the path of a recipe, not {shown(base)}")
    if len(extended) >= MAX_EXTENDED:
        raise LiftwildError(f"{path}: recipes extend each other in a circle, or more than {MAX_EXTENDED} deep")
    below = find_recipe(base) if base in shipped_recipes() else path.parent / base
    return _merged(read_table(below, (*extended, path)), table, path)


def _merged(below: dict[str, Any], above: dict[str, Any], path: Path) -> dict[str, Any]:
    """Tables merged entry by entry, and a table over the list of stages stage by stage; else ``above`` counts."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        if isinstance(value, dict) and isinstance(old, list):
            if not all(isinstance(row, dict) for row in (*old, *value.values())):
                raise LiftwildError(f"{path}: {name} must be tables of entries")
            rows = {str(row.get("name")): row for row in old}
            unknown = [stage for stage in value if stage not in rows]
            if unknown:
                raise LiftwildError(f"{path}: no stage {unknown[0]!r} to change; stages are {', '.join(rows)}")
            value = [_merged(row, value.get(stage, {}), path) for stage, row in rows.items()]
        elif isinstance(value, dict) and isinstance(old, dict):
            value = _merged(old, value, path)
        merged[name] = value
    return merged


def recipe_from_dict(
    table: dict[str, Any],
    where: str = "recipe",
    stores: dict[str, str] | None = None,
    network: PoseNetConfig | None = None,
) -> Recipe:
    """A recipe from the nested dict that its TOML holds. Arguments and errors as in ``load_recipe``."""
    try:
        table = dict(table)
        kinds = {"stores": dict[str, dict[str, Any]], "network": dict[str, Any], "stages": list[dict[str, Any]]}
        for name, kind in kinds.items():
            if name not in table and name != "stores":
                raise ValueError(f"no [[{name}]]" if name == "stages" else f"{name} is missing")
            table[name] = checked(kind, table.get(name, {}), name)
        entries = {name: dict(entry) for name, entry in table["stores"].items()}
        for name, path in (stores or {}).items():
            if name not in entries:
                raise ValueError(f"there is no store {name!r} to replace; there is {', '.join(entries) or 'none'}")
            entries[name]["path"] = path
        for name in (PHOTOS, PHOTOS_VAL):
            if name in entries:
                entries[name].setdefault("path", "")
        given, rows = dict(table.pop("network")), table.pop("stages")
        size = given.pop("size", None)
        if size == "from" and network is None:
            raise ValueError("network.size is 'from': give the weights to begin with, --from NAME|PATH")
        sizes = SIZES if network is None else {**SIZES, "from": network}
        if size is not None and (not isinstance(size, str) or size not in sizes):
            raise ValueError(f"network.size {shown(size)} is unknown; sizes are {', '.join(SIZES)} and from")
        if not rows:
            raise ValueError("no [[stages]]")
        recipe = build(
            Recipe,
            {
                **table,
                "network": {**(dataclasses.asdict(sizes[size]) if size else {}), **given},
                "stores": entries,
                "stages": [_budget(i, row) for i, row in enumerate(rows)],
                "text": {"network": {"size": size, **given} if size else given, "stages": rows, **table},
            },
        )
        check_recipe(recipe)
    except ValueError as error:
        raise LiftwildError(f"{where}: {error}") from None
    return recipe


def _budget(index: int, row: dict[str, Any]) -> dict[str, Any]:
    """A stage's row with ``iterations``, whichever of ``iterations`` and ``images`` it gives."""
    if ("images" in row) == ("iterations" in row):
        raise ValueError(
            f"stages[{index}]: give one of iterations and images, not {'both' if 'images' in row else 'none'}"
        )
    images, batch_size = row.get("images"), row.get("batch_size", Stage.batch_size)
    if type(images) is not int or type(batch_size) is not int or batch_size < 1:  # build says what is wrong
        return {"iterations": 1, **row}
    return {**row, "iterations": -(-images // batch_size)}
