"""``BatchPredictor`` and ``BatchRenderer`` in the engines that tables are mapped with: make test-scale."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liftwild import BatchPredictor, BatchRenderer
from liftwild.data.store import SCHEMA, StoreWriter
from liftwild.io.pose_columns import pose_schema
from tests.support.commands import ENVIRONMENT, liftwild
from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif("LIFTWILD_SCALE_PHOTOS" not in os.environ, reason="make test-scale runs it")

PHOTOS = int(os.environ.get("LIFTWILD_SCALE_PHOTOS", "0"))
ROWS_A_FILE, ROWS_A_BATCH = 100, 64
BAD = 37  # every so many rows one is no photo
POSES = pa.schema([("id", pa.int64()), *pose_schema()])
RENDERED = 40


def engine(name: str) -> Any:
    """The library of an engine; the test is skipped without it."""
    return pytest.importorskip(name, reason=f"{name} is not installed: docs/scale.md")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parquet files of photos: the example's person, each a little darker than the one before; and some broken ones."""
    folder = tmp_path_factory.mktemp("photos")
    image = cv2.imread(str(ROOT / "examples" / "person.jpg"))
    assert image is not None
    image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for first in range(0, PHOTOS, ROWS_A_FILE):
        numbers = range(first, min(first + ROWS_A_FILE, PHOTOS))
        pixels = [_photo(image, number) for number in numbers]
        table = pa.table({"id": pa.array(numbers, pa.int64()), "photo": pa.array(pixels, pa.binary())})
        pq.write_table(table, folder / f"{first:06d}.parquet")
    return folder


def _photo(image: np.ndarray, number: int) -> bytes:
    if number % BAD == BAD - 1:
        return b"\xff\xd8 no photo"
    dark = cv2.convertScaleAbs(image, alpha=1 - 0.3 * (number % 50) / 50)
    return bytes(cv2.imencode(".jpg", dark, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])


@pytest.fixture(scope="module")
def expected(photos: Path) -> dict[int, Any]:
    """What one process finds in them, by id; not this one: ``datasets`` forks, and networks cannot run in both."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(_found_in, photos).result()
    assert sum(row["error"] is not None for row in found.values()) == PHOTOS // BAD > 0
    return found


def _found_in(photos: Path) -> dict[int, Any]:
    predictor = BatchPredictor(weights="small")
    batches = pq.ParquetDataset(photos).read().to_batches(ROWS_A_BATCH)
    return {row["id"]: row for batch in batches for row in predictor(batch).to_pylist()}


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What an engine's processes import, and one thread for each."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), ENVIRONMENT["PYTHONPATH"]]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")  # it reports to its makers else
    yield


class KilledOnce(BatchPredictor):
    """Ends its process in the middle of the table, once."""

    def __init__(self, mark: Path) -> None:
        super().__init__(weights="small", keep=["id"])
        self.mark = mark

    def __call__(self, batch: Any) -> Any:
        if PHOTOS // 2 in (batch["id"].to_pylist() if hasattr(batch["id"], "to_pylist") else set(batch["id"])):
            try:
                self.mark.touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
            except FileExistsError:
                pass
        return super().__call__(batch)


def check_same(poses: Path, expected: dict[int, Any]) -> None:
    """Each row once, with the same poses."""
    found = pq.ParquetDataset(poses).read().to_pylist()
    assert sorted(row["id"] for row in found) == sorted(expected)
    for row in found:
        assert {name: row[name] for name in POSES.names} == expected[row["id"]]


@pytest.fixture
def ray(workers: None) -> Iterator[Any]:
    """Ray with two cores of this machine."""
    found = engine("ray")
    importlib.import_module("ray.data")
    found.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=300 << 20)
    yield found
    found.shutdown()


def test_ray_with_a_worker_that_is_killed(ray: Any, photos: Path, expected: dict[int, Any], tmp_path: Path) -> None:
    data = ray.data.read_parquet(str(photos))
    data = data.map_batches(
        KilledOnce, fn_constructor_args=(tmp_path / "killed",), batch_format="pyarrow", batch_size=ROWS_A_BATCH,
        compute=ray.data.ActorPoolStrategy(size=2), num_cpus=0.5,  # the rest reads and writes
    )  # fmt: skip
    data.write_parquet(str(tmp_path / "poses"))
    assert (tmp_path / "killed").exists()
    check_same(tmp_path / "poses", expected)


def test_ray_renders_what_one_machine_renders(ray: Any, tmp_path: Path) -> None:
    """The store of ``liftwild render``, to the byte, from rows that come in any order."""
    options = ("--seed", 7, "--size", 64, "--processes", 1)
    liftwild("render", "wild", "-n", RENDERED, *options, "-o", tmp_path / "one.arrow")
    renderer = BatchRenderer("wild", 7, size=64)
    data = ray.data.range(RENDERED, override_num_blocks=3)  # blocks of 13 and 14 rows: none is a whole batch
    data = data.map_batches(renderer, batch_format="pyarrow", batch_size=renderer.at_once, num_cpus=0.5)
    data.write_parquet(str(tmp_path / "rows"))
    found = pq.ParquetDataset(tmp_path / "rows").read()
    assert found.schema.equals(SCHEMA) and len(found) == RENDERED
    with StoreWriter(tmp_path / "many.arrow") as writer:
        for row in found.sort_by("annotation_id").to_pylist():
            writer.add(row)
    assert (tmp_path / "many.arrow").read_bytes() == (tmp_path / "one.arrow").read_bytes()


def test_datasets_with_two_processes(photos: Path, expected: dict[int, Any], workers: None, tmp_path: Path) -> None:
    datasets = engine("datasets")
    files = str(photos / "*.parquet")
    data = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    predictor = BatchPredictor(weights="small", keep=["id"])
    done = data.with_format("arrow").map(
        predictor, batched=True, batch_size=ROWS_A_BATCH, remove_columns=["photo"], num_proc=2
    )
    done.to_parquet(str(tmp_path / "poses.parquet"))
    check_same(tmp_path / "poses.parquet", expected)


def test_dask_with_a_worker_that_is_killed(
    photos: Path, expected: dict[int, Any], workers: None, tmp_path: Path
) -> None:
    distributed, frames = engine("distributed"), engine("dask.dataframe")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
    ):
        parts = frames.read_parquet(str(photos), columns=["id", "photo"])
        empty = pd.DataFrame(
            {"id": pd.Series(dtype="int64"), **dict.fromkeys(pose_schema().names, pd.Series(dtype=object))}
        )
        poses = parts.map_partitions(KilledOnce(tmp_path / "killed"), meta=empty)
        poses.to_parquet(str(tmp_path / "poses"), schema=POSES, write_index=False)
    assert (tmp_path / "killed").exists()
    check_same(tmp_path / "poses", expected)


def test_spark_with_a_worker_that_is_killed(
    photos: Path, expected: dict[int, Any], workers: None, tmp_path: Path
) -> None:
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    engine("pyspark")
    sql, types = importlib.import_module("pyspark.sql"), importlib.import_module("pyspark.sql.pandas.types")
    builder = sql.SparkSession.builder.master("local[2,4]")  # two workers; a task is tried four times
    for name, value in (
        ("spark.ui.enabled", "false"), ("spark.driver.host", "127.0.0.1"), ("spark.sql.warehouse.dir", tmp_path),
        ("spark.sql.execution.arrow.maxRecordsPerBatch", ROWS_A_BATCH),
    ):  # fmt: skip
        builder = builder.config(name, str(value))
    killed = KilledOnce(tmp_path / "killed")

    def poses_of(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield killed(batch)

    session = builder.getOrCreate()
    try:
        frame = session.read.parquet(str(photos)).mapInArrow(poses_of, types.from_arrow_schema(POSES))
        frame.write.parquet(str(tmp_path / "poses"))
    finally:
        session.stop()
    assert (tmp_path / "killed").exists()
    check_same(tmp_path / "poses", expected)
