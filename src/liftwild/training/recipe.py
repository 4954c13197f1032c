"""A run as data: the stores, the network's size, and the stages; ``recipe_file`` reads it from TOML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from liftwild.data.augment import Augmentation
from liftwild.evaluation.metric_table import METRICS
from liftwild.network.posenet import PoseNetConfig, parameters
from liftwild.schema import Between
from liftwild.training.stage import MAX_STEPS, Stage

PHOTOS, PHOTOS_VAL = "photos", "photos_val"  # stores that --photos fills; they need no path of their own
MAX_PARAMETERS = 500_000_000  # 35 times the paper's; with their gradients and averages about 10 GB
Seed = Annotated[int, Between(0, 2**62)]
Positive = Annotated[float, Between(0, 1e9, above=True)]
BelowOne = Annotated[float, Between(0, 1 - 1e-9)]


@dataclass(frozen=True)
class StoreEntry:
    """A store and its use.

    - ``path``: the Arrow file, relative to the folder that the command runs in; to train on, also a folder or an
      address of shards (``data.shards``).
    - ``use``: "3d" and "2d" train, "val" measures; "poses" is a .npy file of poses (``synthetic.poses.pose_bank``).
    - ``weight``: how often it is drawn beside others of the same use.
    - ``kind``, ``licence``: stated in the json of the weights.
    - ``render`` "wild", "lab" or "poses": without a file at ``path``, ``count`` people or poses are rendered into it,
      with ``render_seed`` and ``split``, before the photos of the folder ``backgrounds`` ("": none).
    """

    path: str
    use: Literal["3d", "2d", "val", "poses"]
    weight: Positive = 1.0
    kind: str = ""
    licence: str = ""
    render: Literal["", "wild", "lab", "poses"] = ""
    count: Annotated[int, Between(0, 1e8)] = 0
    render_seed: Seed = 0
    split: Literal["train", "test"] = "train"
    backgrounds: str = ""


@dataclass(frozen=True)
class Optimizer:
    """Which optimiser, and its constants. The defaults are the paper's RMSprop."""

    name: Literal["rmsprop", "adamw"] = "rmsprop"
    alpha: BelowOne = 0.99
    eps: Annotated[float, Between(0, 1, above=True)] = 1e-8
    beta1: BelowOne = 0.9
    beta2: BelowOne = 0.999
    weight_decay: Annotated[float, Between(0, 1e3)] = 0.0


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run: ``stores`` by name, ``stages`` in order, and

    - ``log_every``, ``val_every``, ``picture_every``, ``checkpoint_every``: iterations between logging, measuring on
      val stores, drawing predictions, and checkpoints; all but the first also at a stage's end (0: only there).
    - ``ema_decay``: of the average of the network over steps, which is measured and exported (0: no average).
    - ``best`` "STORE:METRIC": keep the network that did best on this val store by one of ``METRICS`` ("": do not).
    - ``precision``: auto (bf16 where the machine computes in it, else fp32), bf16-mixed or 32-true.
    - ``pretrained``: the file that a MobileNet begins with, of ``scripts/import_pretrained.py`` ("": nothing).
    - ``text``: the TOML as nested dicts, which checkpoints and weights keep.
    """

    name: str
    network: PoseNetConfig
    stores: dict[str, StoreEntry]
    stages: tuple[Stage, ...]
    seed: Seed = 0
    optimizer: Optimizer = field(default_factory=Optimizer)
    augment_2d: Augmentation = field(default_factory=Augmentation)
    augment_3d: Augmentation = field(default_factory=Augmentation)
    log_every: Annotated[int, Between(1, MAX_STEPS)] = 20
    val_every: Annotated[int, Between(0, MAX_STEPS)] = 0
    picture_every: Annotated[int, Between(0, MAX_STEPS)] = 0
    checkpoint_every: Annotated[int, Between(0, MAX_STEPS)] = 500
    ema_decay: BelowOne = 0.0
    best: str = ""
    licence: str = ""
    pretrained: str = ""
    precision: Literal["auto", "bf16-mixed", "32-true"] = "auto"
    text: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.iterations for stage in self.stages)


def check_recipe(recipe: Recipe) -> None:
    """Ranges, and whether the stages can run on the stores there are."""
    if (size := parameters(recipe.network)) > MAX_PARAMETERS:
        raise ValueError(f"network has {size:,} parameters, more than {MAX_PARAMETERS:,}: make it smaller")
    uses = {entry.use for entry in recipe.stores.values()}
    for name, entry in recipe.stores.items():
        if (entry.use == "poses") != (entry.render == "poses") and entry.render:
            raise ValueError(f"stores.{name}: render = poses goes with use = poses")
        if entry.render and entry.count < 1:
            raise ValueError(f"stores.{name}: render wants a count above 0")
        if not entry.render and (entry.count or entry.backgrounds):
            raise ValueError(f"stores.{name}: count and backgrounds are for stores with render")
    for i, stage in enumerate(recipe.stages):
        try:
            stage.check(recipe.network, set(uses))
        except ValueError as error:
            raise ValueError(f"stages[{i}] ({stage.name}): {error}") from None
    if recipe.best:
        store, _, metric = recipe.best.rpartition(":")
        measured = [name for name, entry in recipe.stores.items() if entry.use == "val"]
        if store not in measured:
            raise ValueError(
                f"best = {recipe.best!r}: no val store {store!r}; there is {', '.join(measured) or 'none'}"
            )
        if metric not in METRICS:
            raise ValueError(f"best = {recipe.best!r}: no metric {metric!r}; metrics are {', '.join(METRICS)}")
