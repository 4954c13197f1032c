"""A clip that is gone on with is the same to the byte, with the detector and the default runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftwild.detection.detector import Detector
from liftwild.inference.estimator import Estimator
from liftwild.media.video import open_clip
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
    pictures = [frame.image for frame in render_clip(8, 5, fps=10, size=192, people=2)]
    clip = open_clip(encode_video(tmp_path / "clip.mp4", pictures, "libx264", fps=10))

    def predict(estimator: Estimator, selection: PersonSelection, name: str) -> bytes:
        with Spool(tmp_path / name, {}) as spool:
            people = len(predict_video(estimator, clip, selection, PoseOptions(), spool).recording.tracks)
        assert people == 2
        return (tmp_path / name).read_bytes()

    used = Estimator("small"), PersonSelection(detector=Detector())
    whole = predict(*used, "whole")
    with monkeypatch.context() as patch:
        stop_at(patch, 4, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            predict(*used, "stopped")
    assert 0 < (tmp_path / "stopped").stat().st_size < len(whole)
    # By another, as after a kill: it has not seen the frames before.
    assert predict(Estimator("small"), PersonSelection(detector=Detector()), "stopped") == whole
