"""Human3.6M in whichever layout a folder holds it."""

from __future__ import annotations

from pathlib import Path

from liftwild.data.dataset import Dataset
from liftwild.data.readers.common import need_folder
from liftwild.data.readers.h36m import AS_IT_IS, H36MOptions
from liftwild.data.readers.h36m_annot import annot_files, h36m_annot
from liftwild.data.readers.h36m_challenge import challenge_folder, h36m_challenge
from liftwild.data.readers.h36m_fetch import fetched_files, h36m_fetch
from liftwild.data.readers.h36m_folders import META, h36m_folders
from liftwild.data.readers.h36m_videos import h36m_videos, is_official


def read_h36m(source: str | Path, split: str, options: H36MOptions = AS_IT_IS) -> Dataset:
    """Human3.6M ``split`` ("train" or "test") from ``source``, its layout told by the files that are there.

    In this order: the site's videos, h36m-fetch's folders, the challenge of ECCV 2018, the authors' folders of crops,
    their HDF5 annotation with those. Errors as in the reader of the layout.
    """
    source = Path(source)
    need_folder(source, "Human3.6M")
    if is_official(source):
        return h36m_videos(source, split, options)
    if fetched_files(source):
        return h36m_fetch(source, split, options)
    if challenge_folder(source) is not None:
        return h36m_challenge(source, split, options)
    if annot_files(source) and not any(source.glob(f"s_*/{META}")):
        return h36m_annot(source, split, options)
    return h36m_folders(source, split, options)
