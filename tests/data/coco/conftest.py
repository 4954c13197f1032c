"""Labels of COCO as they are read, and what of them is skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftwild.data.readers.coco import read_labels
from tests.support.label_files import Read, write_labels


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads labels given as what JSON holds."""
    return lambda content: read_labels(write_labels(tmp_path / "labels.json", content))
