"""A clip that is gone on with is the same to the byte, with the detector and the default runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liftwild.detection.detector import Detector
from liftwild.inference.estimator import Estimator
from liftwild.media.video import open_clip
from liftwild.pipeline.frame_log import read_log
from liftwild.pipeline.options import PoseOptions
from liftwild.pipeline.person_selection import PersonSelection
from liftwild.pipeline.spool import Spool
from liftwild.pipeline.video import predict_video
from liftwild.synthetic.render.clip import render_clip
from tests.support.interrupts import stop_at
from tests.support.videos import encode_video


@pytest.fixture(autouse=True)
def seeing() -> None:
    """The real network, not that of the other tests."""


def test_the_default_runtime_goes_on_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = render_clip(8, 5, fps=10, size=192, people=2)
    pictures = [np.roll(frame.image, 2 * i, axis=1) for i, frame in enumerate(rendered)]  # a camera that turns
    clip = open_clip(encode_video(tmp_path / "clip.mp4", pictures, "libx264", fps=10))

    def predict(estimator: Estimator, selection: PersonSelection, name: str) -> bytes:
        with Spool(tmp_path / name, {}) as spool:
            people = len(predict_video(estimator, clip, selection, PoseOptions(), spool).recording.tracks)
        assert people == 2
        return (tmp_path / name).read_bytes()

    def background(name: str) -> np.ndarray:
        with Spool(tmp_path / name, {}) as spool:
            return read_log(spool).background_px

    used = Estimator("small"), PersonSelection(detector=Detector())
    whole = predict(*used, "whole")
    with monkeypatch.context() as patch:
        stop_at(patch, 4, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            predict(*used, "stopped")
    assert 0 < (tmp_path / "stopped").stat().st_size < len(whole)
    # By another, as after a kill: it has not seen the frames before.
    assert predict(Estimator("small"), PersonSelection(detector=Detector()), "stopped") == whole
    assert np.abs(background("whole") - np.arange(8)[:, None] * (2, 0)).max() < 1
