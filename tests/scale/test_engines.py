"""``BatchPredictor`` in the engines that tables are mapped with: make test-scale."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liftwild import BatchPredictor
from tests.support.paths import ROOT

ray = pytest.importorskip("ray", reason="make test-scale installs it")
datasets = pytest.importorskip("datasets", reason="make test-scale installs it")

PHOTOS = int(os.environ.get("LIFTWILD_SCALE_PHOTOS", "2000"))
ROWS_A_FILE = 100
BAD = 37  # every so many rows one is no photo


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parquet files of photos: the example's person, each a little darker than the one before; and some broken ones."""
    folder = tmp_path_factory.mktemp("photos")
    image = cv2.imread(str(ROOT / "examples" / "person.jpg"))
    assert image is not None
    image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for first in range(0, PHOTOS, ROWS_A_FILE):
        numbers = range(first, min(first + ROWS_A_FILE, PHOTOS))
        table = pa.table(
            {
                "id": pa.array(numbers, pa.int64()),
                "photo": pa.array([_photo(image, number) for number in numbers], pa.binary()),
            }
        )
        pq.write_table(table, folder / f"{first:06d}.parquet")
    return folder


def _photo(image: np.ndarray, number: int) -> bytes:
    if number % BAD == BAD - 1:
        return b"\xff\xd8 no photo"
    dark = cv2.convertScaleAbs(image, alpha=1 - 0.3 * (number % 50) / 50)
    return bytes(cv2.imencode(".jpg", dark, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])


@pytest.fixture(scope="module")
def expected(photos: Path) -> dict[int, Any]:
    """What this process finds in them, by id."""
    predictor = BatchPredictor(weights="small")
    batches = pq.ParquetDataset(photos).read().to_batches(64)
    return {row["id"]: row for batch in batches for row in predictor(batch).to_pylist()}


class KilledOnce(BatchPredictor):
    """Ends its process in the middle of the table, once."""

    mark: Path

    def __init__(self, mark: Path) -> None:
        super().__init__(weights="small")
        self.mark = mark

    def __call__(self, batch: Any) -> Any:
        if PHOTOS // 2 in batch["id"].to_pylist() and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(batch)


def same(found: list[dict[str, Any]], expected: dict[int, Any]) -> None:
    """Each row once, with the same poses."""
    assert sorted(row["id"] for row in found) == sorted(expected)
    for row in found:
        assert row == expected[row["id"]]


def test_ray_with_a_worker_that_is_killed(
    photos: Path, expected: dict[int, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "src")]))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=300 << 20)
    try:
        data = ray.data.read_parquet(str(photos))
        data = data.map_batches(
            KilledOnce, fn_constructor_args=(tmp_path / "killed",), batch_format="pyarrow", batch_size=64,
            compute=ray.data.ActorPoolStrategy(size=2), num_cpus=0.5,  # the rest reads and writes
        )  # fmt: skip
        data.write_parquet(str(tmp_path / "poses"))
    finally:
        ray.shutdown()
    assert (tmp_path / "killed").exists()
    same(pq.ParquetDataset(tmp_path / "poses").read().to_pylist(), expected)


def test_datasets(photos: Path, expected: dict[int, Any], tmp_path: Path) -> None:
    files = str(photos / "*.parquet")
    data = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    predictor = BatchPredictor(weights="small", keep=["id"])
    done = data.with_format("arrow").map(predictor, batched=True, batch_size=64, remove_columns=["photo"])
    done.to_parquet(str(tmp_path / "poses.parquet"))
    same(pq.read_table(tmp_path / "poses.parquet").to_pylist(), expected)
