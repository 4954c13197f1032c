"""Labels of COCO as they are read, and what of them is skipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liftwild.data.labels import LabelledPerson, Skip
from liftwild.data.readers.coco import read_labels
from liftwild.skeleton import MPII_16
from tests.support.data_fixtures import write_labels

PELVIS, THORAX, NECK, HEAD = (MPII_16.index(name) for name in ("pelvis", "thorax", "upper_neck", "head_top"))
Read = Callable[[Any], tuple[list[LabelledPerson], list[Skip]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads labels given as what JSON holds."""
    return lambda content: read_labels(write_labels(tmp_path / "labels.json", content))


def one_skip(read: Read, content: Any) -> Skip:
    """The single skip of labels that hold nobody usable."""
    people, skips = read(content)
    assert people == [] and len(skips) == 1
    return skips[0]
