"""Poses as a pandas DataFrame: the rows of the CSV, not rounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.io.csv_table import JOINT, table
from liftwild.io.description import skeleton_of
from liftwild.pose import Recording

if TYPE_CHECKING:
    import pandas as pd


def to_dataframe(recording: Recording) -> pd.DataFrame:
    """One row for each frame, person and joint, with the columns and dtypes that ``pandas.read_csv`` gives of the CSV.

    2D in px, 3D in mm, confidence, score and chances in [0, 1], NaN where something is hidden or not known; see
    docs/files.md. LiftwildError without pandas.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError:
        raise LiftwildError("a DataFrame needs pandas: pip install pandas") from None
    columns = table(recording)
    names = np.array(skeleton_of(recording).names)
    return pd.DataFrame({name: names[values] if name == JOINT else values for name, values in columns.items()})
