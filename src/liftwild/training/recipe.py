"""A run is a recipe: a TOML file that names the data, the network's size, and the stages as rows of data."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from liftwild.data.augment import Augmentation
from liftwild.errors import LiftwildError
from liftwild.evaluation.metric_table import METRICS
from liftwild.network.posenet import SIZES, PoseNetConfig

# Recipes that ship: in the package where a wheel put them, in a checkout in its own recipes/.
IN_PACKAGE = Path(__file__).parents[1] / "recipes"
SHIPPED = IN_PACKAGE if IN_PACKAGE.is_dir() else Path(__file__).parents[3] / "recipes"
PHOTOS, PHOTOS_VAL = "photos", "photos_val"  # stores that --photos fills; they need no path of their own
MAX_EXTENDED = 4


@dataclass(frozen=True)
class StoreEntry:
    """A store and what it is for.

    ``path``: the Arrow file, relative to the folder that the command runs in. ``use``: "3d" and "2d" train, "val"
    measures; "poses" is a .npy file of poses without pictures (``synthetic.poses.pose_bank``). ``weight``: how often
    it is drawn beside others of the same use. ``kind`` and ``licence``: said of it in the weights' json. ``render``
    "wild" or "lab": if there is no file at ``path``, ``count`` people are rendered into it, of ``render_seed`` and
    ``split``, before the photos of the folder ``backgrounds`` ("": none); "poses": as many procedural poses.
    """

    path: str
    use: Literal["3d", "2d", "val", "poses"]
    weight: float = 1.0
    kind: str = ""
    licence: str = ""
    render: Literal["", "wild", "lab", "poses"] = ""
    count: int = 0
    render_seed: int = 0
    split: Literal["train", "test"] = "train"
    backgrounds: str = ""


@dataclass(frozen=True)
class Optimizer:
    """Which optimiser, and its constants. The defaults are the paper's RMSprop."""

    name: Literal["rmsprop", "adamw"] = "rmsprop"
    alpha: float = 0.99
    eps: float = 1e-8
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Stage:
    """One row of the training plan. Defaults are the paper's where it has them.

    ``iterations`` steps of ``batch_size`` images (a row may give the number of ``images`` instead), ``ratio_3d`` of
    them 3D-labelled, at ``input_px`` (0: the network's own; smaller only while no depth is trained). Learning rate
    ``lr``, by ``schedule``: constant, step (to ``lr_end`` at ``drop_at`` of the iterations) or cosine (to ``lr_end``),
    after ``warmup`` iterations of linear rise.
    ``heatmap_weight``, ``depth_weight``, ``geometric_weight``: of the three losses; the geometric one is taken on the
    images of ``geometric_on``. ``sigma`` of the target Gaussians in heatmap px, moving to ``sigma_end`` over the stage
    (0: stays). ``foreground_weight``: see ``losses.heatmap_loss``; not for a network with ``softmax``.
    ``side_noise``: share of the 2D labels taken to have left and right exchanged, which ``losses.side_doubt`` finds (0:
    none are); only for a network with ``softmax``. ``depth_clamp``: depth targets are cut to [-depth_clamp,
    depth_clamp] (0: not). ``train``: all parameters; ``depth``: the depth module
    (and lifter) alone; ``lifter``: that alone, on poses without pictures (a store with use = poses); ``heads``: all but
    a MobileNet, or ``last``: its ``last_blocks`` blocks too (of an hourglass both mean all). ``pretrained_lr``: the
    share of ``lr`` that a MobileNet and a lifter learn at, which know something before. ``place_weight``,
    ``presence_weight``: of the lifter's joints, and of which joints are in the photo and visible (networks with a
    lifter).
    ``pretrained_share``: of the target of MoveNet's own joints, what MoveNet itself says of the picture, so that heads
    that learn from rendered people forget no photo (only with train = "heads").
    ``freeze_norm``: batch norm keeps its statistics and uses them. ``clip``: largest gradient norm (0: none).
    """

    name: str
    iterations: int
    lr: float
    batch_size: int = 6
    ratio_3d: float = 0.5
    input_px: int = 0
    schedule: Literal["constant", "step", "cosine"] = "constant"
    lr_end: float = 0.0
    drop_at: float = 0.8
    warmup: int = 0
    heatmap_weight: float = 1.0
    depth_weight: float = 0.0
    geometric_weight: float = 0.0
    geometric_on: Literal["2d", "3d", "all"] = "2d"
    sigma: float = 1.0
    sigma_end: float = 0.0
    foreground_weight: float = 0.0
    side_noise: float = 0.0
    depth_clamp: float = 0.0
    train: Literal["all", "depth", "lifter", "heads", "last"] = "all"
    last_blocks: int = 4
    pretrained_lr: float = 1.0
    place_weight: float = 0.0
    presence_weight: float = 0.0
    pretrained_share: float = 0.0
    freeze_norm: bool = False
    clip: float = 0.0
    images: int = 0

    @property
    def with_depth(self) -> bool:
        """Whether the depth module runs in this stage."""
        weights = (self.depth_weight, self.geometric_weight, self.place_weight, self.presence_weight)
        return self.train == "lifter" or max(weights) > 0

    def lr_at(self, step: int) -> float:
        """Learning rate of step ``step`` (from 0) of this stage."""
        if step < self.warmup:
            return self.lr * (step + 1) / (self.warmup + 1)
        done = (step - self.warmup) / max(1, self.iterations - self.warmup)
        if self.schedule == "cosine":
            return self.lr_end + (self.lr - self.lr_end) * 0.5 * (1 + math.cos(math.pi * done))
        if self.schedule == "step" and step >= self.drop_at * self.iterations:
            return self.lr_end
        return self.lr

    def sigma_at(self, step: int) -> float:
        """Gaussian sigma of step ``step`` of this stage, heatmap px."""
        return self.sigma + ((self.sigma_end or self.sigma) - self.sigma) * step / max(1, self.iterations - 1)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run. ``stores`` by name, ``stages`` in order.

    ``log_every``, ``val_every``, ``picture_every``, ``checkpoint_every``: iterations between logging, measuring on the
    val stores, drawing predictions, and leaving a checkpoint behind (all but the first also at a stage's end; 0: only
    there). ``ema_decay``: of the average of the network over steps, which is what is measured and exported (0: no
    average; see ``average.follow``). ``best`` "STORE:METRIC": keep the network that did best on this val store by this
    one of ``METRICS``, at whatever input size that was measured ("": do not). ``pretrained``: the file that a
    MobileNet begins with, of ``scripts/import_pretrained.py`` ("": nothing). ``text``: the TOML as nested dicts, as
    it stands in the file; what checkpoints and weights keep of it.
    """

    name: str
    network: PoseNetConfig
    stores: dict[str, StoreEntry]
    stages: tuple[Stage, ...]
    seed: int = 0
    optimizer: Optimizer = field(default_factory=Optimizer)
    augment_2d: Augmentation = field(default_factory=Augmentation)
    augment_3d: Augmentation = field(default_factory=Augmentation)
    log_every: int = 20
    val_every: int = 0
    picture_every: int = 0
    checkpoint_every: int = 500
    ema_decay: float = 0.0
    best: str = ""
    licence: str = ""
    pretrained: str = ""
    text: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.iterations for stage in self.stages)


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with liftwild."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


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
    return recipe_from_dict(_read_toml(path), str(path), stores, network)


def _read_toml(path: Path, extended: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The table of a recipe, laid over that of the file that it ``extends`` (relative to its own folder)."""
    try:
        with path.open("rb") as handle:
            table = tomllib.load(handle)
    except OSError as error:
        more = f"; the one that ships is called {path.stem}" if path.stem in shipped_recipes() else ""
        raise LiftwildError(f"cannot read recipe {path}: {error.strerror}{more}") from None
    except ValueError as error:
        raise LiftwildError(f"{path} is not TOML: {error}") from None
    below = table.pop("extends", None)
    if below is None:
        return table
    if not isinstance(below, str):
        raise LiftwildError(f"{path}: extends must be the path of a recipe, not {below!r}")
    if len(extended) >= MAX_EXTENDED:
        raise LiftwildError(f"{path}: recipes extend each other in a circle, or more than {MAX_EXTENDED} deep")
    return _laid_over(_read_toml(path.parent / below, (*extended, path)), table)


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Tables merged entry by entry; of anything else ``above`` counts."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        merged[name] = _laid_over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def recipe_from_dict(
    table: dict[str, Any],
    where: str = "recipe",
    stores: dict[str, str] | None = None,
    network: PoseNetConfig | None = None,
) -> Recipe:
    """A recipe from the nested dict that its TOML holds. Arguments and errors as in ``load_recipe``."""
    table = dict(table)
    try:
        entries = {name: dict(entry) for name, entry in table.get("stores", {}).items()}
        for name, path in (stores or {}).items():
            if name not in entries:
                raise ValueError(f"there is no store {name!r} to replace; there is {', '.join(entries) or 'none'}")
            entries[name]["path"] = path
        for name in (PHOTOS, PHOTOS_VAL):
            if name in entries:
                entries[name].setdefault("path", "")
        given = dict(table.pop("network"))
        size = given.pop("size", None)
        if size == "from" and network is None:
            raise ValueError("network.size is 'from': give the weights to begin with, --from NAME|PATH")
        sizes = SIZES if network is None else {**SIZES, "from": network}
        if size is not None and size not in sizes:
            raise ValueError(f"network.size {size!r} is unknown; sizes are {', '.join(SIZES)} and from")
        base = dataclasses.asdict(sizes[size]) if size else {}
        rows = table.pop("stages")
        if not rows:
            raise ValueError("no [[stages]]")
        recipe = _build(
            Recipe,
            "",
            {
                **{name: value for name, value in table.items() if name not in ("optimizer", "stores")},
                "network": _build(PoseNetConfig, "network.", {**base, **given}),
                "stores": {n: _build(StoreEntry, f"stores.{n}.", s) for n, s in entries.items()},
                "stages": tuple(_build(Stage, f"stages[{i}].", _budget(i, row)) for i, row in enumerate(rows)),
                "optimizer": _build(Optimizer, "optimizer.", table.get("optimizer", {})),
                "augment_2d": _build(Augmentation, "augment_2d.", table.get("augment_2d", {})),
                "augment_3d": _build(Augmentation, "augment_3d.", table.get("augment_3d", {})),
                "text": {"network": {"size": size, **given} if size else given, "stages": rows, **table},
            },
        )
        _check(recipe)
    except KeyError as error:
        raise LiftwildError(f"{where}: {error.args[0]!r} is missing") from None
    except (ValueError, TypeError) as error:
        raise LiftwildError(f"{where}: {error}") from None
    return recipe


def _budget(index: int, row: dict[str, Any]) -> dict[str, Any]:
    """A stage's row with ``iterations``, whichever of ``iterations`` and ``images`` it gives."""
    if ("images" in row) == ("iterations" in row):
        raise ValueError(
            f"stages[{index}]: give one of iterations and images, not {'both' if 'images' in row else 'none'}"
        )
    images, batch_size = row.get("images"), row.get("batch_size", Stage.batch_size)
    if type(images) is not int or type(batch_size) is not int or batch_size < 1:  # _build and _check say what is wrong
        return {"iterations": 0, **row}
    return {**row, "iterations": -(-images // batch_size)}


def _build(kind: type[Any], where: str, values: dict[str, Any]) -> Any:
    """A dataclass from a dict, every field checked against its type."""
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name not in hints:
            raise ValueError(f"unknown entry {where}{name}; entries are {', '.join(hints)}")
        hint = hints[name]
        if get_origin(hint) is Literal:
            if value not in get_args(hint):
                raise ValueError(
                    f"{where}{name} must be one of {', '.join(filter(None, get_args(hint)))}, not {value!r}"
                )
        elif hint in (int, float, str, bool):
            kinds = (int, float) if hint is float else hint
            if not isinstance(value, kinds) or (isinstance(value, bool) and hint is not bool):
                raise ValueError(f"{where}{name} must be a {hint.__name__}, not {value!r}")
    for item in dataclasses.fields(kind):
        no_default = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if no_default and item.name not in values:
            raise ValueError(f"{where}{item.name} is missing")
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{where.rstrip('.')}: {error}" if where else str(error)) from None


def _check(recipe: Recipe) -> None:
    """Ranges, and whether the stages can run on the stores there are."""
    uses = {entry.use for entry in recipe.stores.values()}
    for name, entry in recipe.stores.items():
        if not entry.weight > 0:
            raise ValueError(f"stores.{name}: weight must be above 0")
        if (entry.use == "poses") != (entry.render == "poses") and entry.render:
            raise ValueError(f"stores.{name}: render = poses goes with use = poses")
        if entry.render and (entry.count < 1 or entry.render_seed < 0):
            raise ValueError(f"stores.{name}: render wants a count above 0 and a render_seed of 0 or more")
        if not entry.render and (entry.count or entry.backgrounds):
            raise ValueError(f"stores.{name}: count and backgrounds are for stores with render")
    for i, stage in enumerate(recipe.stages):
        where = f"stages[{i}] ({stage.name})"
        if stage.iterations < 1 or stage.batch_size < 1 or not stage.lr > 0 or not 0 <= stage.ratio_3d <= 1:
            raise ValueError(f"{where}: iterations, batch_size and lr must be above 0, ratio_3d in [0, 1]")
        weights = (stage.heatmap_weight, stage.depth_weight, stage.geometric_weight, stage.place_weight,
                   stage.presence_weight, stage.clip, stage.depth_clamp, stage.pretrained_lr)  # fmt: skip
        if min(weights) < 0 or stage.last_blocks < 1:
            raise ValueError(f"{where}: a weight or limit is below 0, or last_blocks below 1")
        if not 0 <= stage.pretrained_share <= 1 or (stage.pretrained_share and stage.train != "heads"):
            raise ValueError(f"{where}: pretrained_share must be in [0, 1], and 0 unless train = heads")
        if stage.train == "lifter":
            if "poses" not in uses or not recipe.network.lifter:
                raise ValueError(f"{where}: train = lifter, but no store has use = poses, or the network has no lifter")
            continue
        if recipe.network.softmax and stage.foreground_weight:
            raise ValueError(f"{where}: foreground_weight is for squared error, and network.softmax is on")
        if not 0 <= stage.side_noise <= 0.5 or (stage.side_noise and not recipe.network.softmax):
            raise ValueError(f"{where}: side_noise must be in [0, 0.5], and 0 without network.softmax")
        if stage.sigma <= 0 or stage.sigma_end < 0:
            raise ValueError(f"{where}: sigma must be above 0")
        if stage.schedule == "step" and stage.lr_end <= 0:
            raise ValueError(f"{where}: schedule step needs lr_end above 0")
        input_px = stage.input_px or recipe.network.input_px
        if input_px % 64 or (stage.with_depth and input_px != recipe.network.input_px):
            raise ValueError(
                f"{where}: input_px must be a multiple of 64, and the network's own "
                f"({recipe.network.input_px}) once depth is trained"
            )
        if stage.train == "depth" and not stage.with_depth:
            raise ValueError(f"{where}: train = depth, but no depth or geometric weight")
        if stage.ratio_3d > 0 and "3d" not in uses:
            raise ValueError(f"{where}: ratio_3d is {stage.ratio_3d}, but no store has use = 3d")
        if stage.ratio_3d < 1 and "2d" not in uses:
            raise ValueError(f"{where}: ratio_3d is {stage.ratio_3d}, but no store has use = 2d")
    if min(recipe.log_every, recipe.val_every + 1, recipe.picture_every + 1, recipe.checkpoint_every + 1) < 1:
        raise ValueError("log_every must be above 0; val_every, picture_every, checkpoint_every 0 or more")
    if not 0 <= recipe.ema_decay < 1:
        raise ValueError(f"ema_decay must be at least 0 and below 1, not {recipe.ema_decay}")
    if recipe.best:
        store, _, metric = recipe.best.rpartition(":")
        measured = [name for name, entry in recipe.stores.items() if entry.use == "val"]
        if store not in measured:
            raise ValueError(
                f"best = {recipe.best!r}: no val store {store!r}; there is {', '.join(measured) or 'none'}"
            )
        if metric not in METRICS:
            raise ValueError(f"best = {recipe.best!r}: no metric {metric!r}; metrics are {', '.join(METRICS)}")
