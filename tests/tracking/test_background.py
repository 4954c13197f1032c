"""How far the background goes: textures that are moved by a known way."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from liftwild.tracking.background import Background

BOX = (200.0, 40.0, 80.0, 260.0)


def texture(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC))


def shown(x: float, y: float, body_x: float = 0.0, size: tuple[int, int] = (640, 360)) -> np.ndarray:
    """The wall from a camera that has turned by so many px, and somebody who has gone ``body_x`` px in ``BOX``."""
    wide = texture(512, 896)
    wall = cv2.warpAffine(wide, np.array([[1, 0, -64 + x], [0, 1, -64 + y]], float), size)
    body = cv2.warpAffine(wide, np.array([[1, 0, -300 + body_x], [0, 1, -100]], float), (80, 260))
    wall[40:300, 200:280] = body
    return np.asarray(wall)


def test_the_background_goes_as_the_camera_turns() -> None:
    background = Background()
    assert background.step(shown(0, 0), [BOX]) == (0, 0)
    for x, y in ((3.0, 0.0), (3.5, -1.0), (3.5, -1.0), (-8.0, 4.0)):
        background = Background()
        background.step(shown(0, 0), [BOX])
        assert background.step(shown(x, y, 5 * x), [BOX]) == pytest.approx((x, y), abs=0.25)


def test_who_moves_before_it_does_not_count() -> None:
    background = Background()
    background.step(shown(0, 0), [])
    assert background.step(shown(0, 0, body_x=6), []) == pytest.approx((0, 0), abs=0.05)  # a bystander, in no box


def test_nothing_is_known_without_a_frame_before_or_without_points() -> None:
    background = Background()
    background.step(shown(0, 0), [BOX])
    background.forget()
    assert background.step(shown(9, 0), [BOX]) == (0, 0)
    assert background.step(shown(18, 0), [BOX]) == pytest.approx((9, 0), abs=0.5)
    plain = Background()
    for _ in range(2):
        assert plain.step(np.full((90, 160, 3), 128, np.uint8), []) == (0, 0)
    covered = Background()
    for x in (0, 5):
        assert covered.step(shown(x, 0), [(-50.0, -50.0, 900.0, 900.0)]) == (0, 0)
