"""Stores of shards in a bucket, on a server that speaks S3: make test-scale."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file

from liftwild.data.shard_cache import ShardCache
from liftwild.data.shard_writing import split_stores, write_manifest, write_shard
from liftwild.data.shards import ShardedStore
from liftwild.data.store import stored_row
from liftwild.errors import LiftwildError
from tests.support.commands import ENVIRONMENT, train_command
from tests.support.stores import sample, write_store
from tests.support.training import logged, tiny_recipe, to_toml

moto_server = pytest.importorskip("moto.server", reason="make test-scale installs it")
s3fs = pytest.importorskip("s3fs", reason="make test-scale installs it")

NAMES = ("three", "two")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The address of an empty bucket; the environment says where its server is, and how to get in."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    settings = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
                "AWS_DEFAULT_REGION": "us-east-1"}  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        for name, value in settings.items():
            patched.setenv(name, value)
        s3fs.S3FileSystem().mkdir("people")
        yield "s3://people"
    server.stop()


@pytest.fixture(scope="module")
def sharded(bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two stores in shards of 5 people; the bucket has them, too."""
    folder = tmp_path_factory.mktemp("s3")
    for name in NAMES:
        store = write_store(folder / f"{name}.arrow", 24, name == "three", seed=len(name))
        for place in (str(folder / name), f"{bucket}/{name}"):
            assert split_stores([store], place, 5, "parquet" if name == "two" else "arrow") == (24, 5, 0)
    return folder


def test_training_from_a_bucket_is_that_from_a_folder(bucket: str, sharded: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(to_toml(tiny_recipe(Path("three"), Path("two"))))
    common = ["--accelerator", "cpu", "--precision", "32-true"]
    runs = {
        "folder": [f"--store={name}={sharded / name}" for name in NAMES] + ["--workers=0"],
        "bucket": [f"--store={name}={bucket}/{name}" for name in NAMES] + ["--workers=2"],
    }
    for name, stores in runs.items():
        command = train_command(recipe, "--out", tmp_path / name, "--cache", tmp_path / "cache", *common, *stores)
        environment = {**ENVIRONMENT, **{key: value for key, value in os.environ.items() if key.startswith("AWS_")}}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in runs)
    assert first.keys() == second.keys() and all(first[key].equal(second[key]) for key in first)
    losses = [[row["loss"] for row in logged(tmp_path / name)] for name in runs]
    assert losses[0] == losses[1] and len(losses[0]) == 16
    assert len(list((tmp_path / "cache").glob("*.arrow"))) == 10


def test_a_split_into_a_bucket_goes_on(bucket: str, sharded: Path) -> None:
    s3fs.S3FileSystem().rm(f"{bucket}/three/00002.arrow")
    with pytest.raises(LiftwildError, match=r"s3://people/three/00002\.arrow is missing"):
        ShardedStore(f"{bucket}/three")
    assert split_stores([sharded / "three.arrow"], f"{bucket}/three", 5) == (24, 5, 4)
    assert ShardedStore(f"{bucket}/three").fingerprint() == ShardedStore(str(sharded / "three")).fingerprint()


def test_workers_write_shards_into_a_bucket(bucket: str, tmp_path: Path) -> None:
    for number in (1, 0):
        write_shard(f"{bucket}/made", number, (stored_row(sample(10 * number + i, size=40)) for i in range(3)))
    write_manifest(f"{bucket}/made", 2)
    store = ShardedStore(f"{bucket}/made", ShardCache(tmp_path))
    assert [store[i].annotation_id for i in range(6)] == [0, 1, 2, 10, 11, 12]


def test_what_a_bucket_lacks_is_one_line(bucket: str, sharded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, words in ((f"{bucket}/none", "it has no store.json"), ("s3://nobody/none", "it has no store.json")):
        with pytest.raises(LiftwildError, match=words) as raised:
            ShardedStore(path)
        assert "\n" not in str(raised.value)
    with pytest.raises(LiftwildError, match="no such bucket"):
        write_shard("s3://nobody/made", 0, [stored_row(sample(0, size=40))])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(LiftwildError, match=r"s3://people/three/store\.json: cannot be read") as raised:
        ShardedStore(f"{bucket}/three")
    assert "\n" not in str(raised.value)
    s3fs.S3FileSystem.clear_instance_cache()
