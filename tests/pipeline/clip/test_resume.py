"""A clip that is gone on with is the same to the byte, with the detector and the default runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liftwild.detection.detector import Detection, Detector
from liftwild.inference.estimator import Estimator
from liftwild.media.video import open_clip
from liftwild.pipeline.frame_log import read_log
from liftwild.pipeline.options import PoseOptions
from liftwild.pipeline.person_selection import PersonSelection
from liftwild.pipeline.spool import Spool
from liftwild.pipeline.video import BACK_FRAMES, predict_video
from liftwild.synthetic.render.clip import render_clip
from tests.support.interrupts import stop_at
from tests.support.videos import encode_video

LIGHT, FOUND = 128, 12  # from this frame on the detector sees


@pytest.fixture(autouse=True)
def seeing() -> None:
    """The real network, not that of the other tests."""


class FindsLate:
    """The detector, but for pictures that are darker than ``LIGHT``."""

    def __init__(self) -> None:
        self.real = Detector()
        self.min_score, self.fingerprint = self.real.min_score, self.real.fingerprint

    def detect(self, image: np.ndarray, most: int | None = None, min_score: float | None = None) -> list[Detection]:
        return list(self.real.detect(image, most, min_score)) if image[:8, :8].mean() > LIGHT else []


@pytest.mark.parametrize("stop", [6, 15])
def test_who_is_found_late_was_there_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    pictures = [frame.image.copy() for frame in render_clip(20, 5, fps=25, size=192)]
    for number, picture in enumerate(pictures):
        picture[:16, :16] = 0 if number < FOUND else 255  # a lamp that the detector waits for
    clip = open_clip(encode_video(tmp_path / "clip.mp4", pictures, "libx264", fps=25))

    def predict(name: str) -> bytes:
        with Spool(tmp_path / name, {}) as spool:
            found = predict_video(
                Estimator("small"), clip, PersonSelection(detector=FindsLate()), PoseOptions(smooth=False), spool
            )
        (track,) = found.recording.tracks
        first = int(track.frames[0])
        assert first <= FOUND + 2 - BACK_FRAMES and list(track.frames) == list(range(first, 20))
        return (tmp_path / name).read_bytes()

    whole = predict("whole")
    with monkeypatch.context() as patch:
        stop_at(patch, stop, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            predict("stopped")
    assert predict("stopped") == whole


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
