"""One browser for all tests of pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.browser import Browser, find_browser


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium to look at the viewer with: apt-get install chromium, or set LIFTWILD_BROWSER")
    started = Browser(program)
    yield started
    started.close()
