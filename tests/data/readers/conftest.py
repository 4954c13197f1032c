"""A dozen rendered people, and all that is needed to write them in the layout of each data set."""

from __future__ import annotations

import pytest

from liftwild.synthetic.render.generate import RenderedSample, render_people
from tests.support.rendered_datasets import (
    DOZEN,
    RENDERED_PX,
)


@pytest.fixture(scope="module")
def dozen() -> list[RenderedSample]:
    """Twelve people in a studio; all joints are in the picture."""
    people = list(render_people("lab", DOZEN, seed=4, size=RENDERED_PX))
    assert all(one.sample.joints_2d_valid.all() for one in people)
    return people
