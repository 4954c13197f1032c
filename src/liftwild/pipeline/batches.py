"""``liftwild.BatchPredictor``: rows of a table in, their poses as columns out, for engines that map over tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from liftwild.errors import LiftwildError
from liftwild.inference.runtime import check_process
from liftwild.io.pose_columns import POSE_COLUMNS, PoseRow, pose_columns, pose_schema
from liftwild.media.photo import Photo
from liftwild.pipeline.options import PoseOptions
from liftwild.pipeline.person_selection import PersonSelection
from liftwild.pipeline.photos import PhotoTask, predict_tasks
from liftwild.pipeline.shared_networks import shared_detector, shared_estimator

NOTHING = "photo: there is none in this row"
ADDRESS = "it is an address, and only files are read; have the engine read the bytes (docs/scale.md)"


class BatchPredictor:
    """Finds the people in a batch of photos: ``map`` it over a table with Ray, ``datasets``, Spark or Dask.

    ``photo``: the column with the photos: bytes of image files, paths, or what ``datasets`` has for an image.
    ``box``: a column of boxes (x, y, w, h px, or None: the detector is asked), or None. ``keep``: columns that come
    back beside the poses; None: all but ``photo`` and those that are called as the poses' own. The rest as for
    ``liftwild.predict``.

    It may be pickled; networks are opened by the first batch in each process, for all copies in it. LiftwildError where
    options make no sense, weights cannot be used, or this process was forked from one that used networks; never for a
    bad row.
    """

    def __init__(
        self,
        photo: str = "photo",
        box: str | None = None,
        keep: Sequence[str] | None = None,
        *,
        people: int | None = None,
        whole: bool = False,
        fov: float | None = None,
        height_m: float | None = None,
        min_score: float | None = None,
        weights: str = "base",
        runtime: str = "auto",
        device: str | None = None,
    ) -> None:
        self.photo, self.box, self.keep = photo, box, None if keep is None else tuple(keep)
        self.people, self.whole, self.min_score = people, whole, min_score
        self.options = PoseOptions(fov_deg=fov, height_m=height_m)
        self.weights, self.runtime, self.device = weights, runtime, device
        PersonSelection(max_people=people)  # says what is wrong with it
        if own := set(POSE_COLUMNS) & set(self.keep or ()):
            raise LiftwildError(
                f"keep: {', '.join(sorted(own))} would stand there twice; name the table's own otherwise"
            )

    def __call__(self, batch: Any) -> Any:
        """The batch with its poses: the columns of ``io.pose_columns``, in the rows' order, a row each.

        ``batch``: a dict of columns, a pandas DataFrame, or an Arrow Table or RecordBatch; the same kind comes back.
        LiftwildError if it has no column ``photo``, or is something else.
        """
        if isinstance(batch, Mapping):
            columns = dict(batch)
            return {**self._kept(columns), **self._poses(columns)}
        if hasattr(batch, "to_pydict"):
            return self._arrow(batch)
        if hasattr(batch, "to_dict") and hasattr(batch, "columns"):
            return self._pandas(batch)
        raise LiftwildError(f"a batch is a dict of columns, a DataFrame or an Arrow table, not {type(batch).__name__}")

    def _arrow(self, batch: Any) -> Any:
        import pyarrow as pa

        names = [name for name in (self.photo, self.box) if name is not None]
        found = self._poses({name: batch.column(name).to_pylist() for name in names if name in batch.schema.names})
        schema = pose_schema()
        kept = self._kept({name: batch.column(name) for name in batch.schema.names})
        types = pa.schema([batch.schema.field(name) for name in kept] + list(schema), metadata=schema.metadata)
        arrays = [*kept.values(), *(pa.array(found[field.name], field.type) for field in schema)]
        return type(batch).from_arrays(arrays, schema=types)

    def _pandas(self, batch: Any) -> Any:
        found = self._poses({name: list(batch[name]) for name in batch.columns if name in (self.photo, self.box)})
        made = batch[list(self._kept(dict.fromkeys(batch.columns)))].copy()
        for name, values in found.items():
            made[name] = type(batch)({name: values}, index=batch.index, dtype=object)[name]
        return made

    def _kept(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        if self.keep is None:
            return {name: column for name, column in columns.items() if name not in (self.photo, *POSE_COLUMNS)}
        for name in self.keep:
            if name not in columns:
                raise LiftwildError(f"keep: no column is called {name!r}; there are {', '.join(map(str, columns))}")
        return {name: columns[name] for name in self.keep}

    def _poses(self, columns: Mapping[str, Any]) -> dict[str, list[Any]]:
        for name in (self.photo, self.box):
            if name is not None and name not in columns:
                raise LiftwildError(f"no column is called {name!r}; there are {', '.join(map(str, columns))}")
        photos = list(columns[self.photo])
        boxes = [None] * len(photos) if self.box is None else list(columns[self.box])
        check_process()  # else opening networks waits for ever, or every row has this for its error
        detector = None if self.whole else shared_detector(self.device, self.min_score, self.runtime)
        estimator = shared_estimator(self.weights, self.device, False, self.runtime)
        rows: dict[int, PoseRow] = {}
        places: list[int] = []

        def tasks() -> Iterator[PhotoTask]:
            for place, (value, box) in enumerate(zip(photos, boxes, strict=True)):
                photo = _photo_of(value)
                if photo is None or (isinstance(photo, str) and "://" in photo):
                    rows[place] = PoseRow(None, NOTHING if photo is None else f"{photo}: {ADDRESS}", None)
                    continue
                try:
                    selection = PersonSelection(_box_of(box), None, detector, self.people)
                except LiftwildError as error:
                    rows[place] = PoseRow(None, str(error), None)
                    continue
                places.append(place)
                yield PhotoTask(photo, selection, self.options)

        for count, result in enumerate(predict_tasks(estimator, tasks())):
            rows[places[count]] = PoseRow(result.recording, result.error or None, result.warning or None)
        return pose_columns([rows[place] for place in range(len(photos))])


def _photo_of(value: Any) -> Photo | None:
    """A photo as ``load_photo`` takes it; ``datasets`` has {"bytes", "path"} for images that are not decoded."""
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path")
    return None if value is None or _is_nan(value) else value


def _box_of(value: Any) -> Any:
    if value is None or _is_nan(value):
        return None
    try:
        x, y, w, h = (float(number) for number in value)
    except (TypeError, ValueError):
        raise LiftwildError(f"photo: a box is four numbers x, y, w, h in px, not {value!r}") from None
    return x, y, w, h


def _is_nan(value: Any) -> bool:
    """Whether it is what pandas has for nothing."""
    return isinstance(value, float) and math.isnan(value)
