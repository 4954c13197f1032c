"""What a page of the viewer shows, seen in a browser."""

from __future__ import annotations

import numpy as np

from tests.support.browser import Browser


def joint(browser: Browser, panel: str, person: int, name: str) -> tuple[float, float] | None:
    """Where a joint is shown in "picture" or "space", px of the window; None if it is not."""
    found = browser.run(
        f"(() => {{ const box = byId('{panel}-canvas').getBoundingClientRect();"
        f" const hit = app.{panel}.shownJoints().find(({{ person, joint }}) =>"
        f" person === {person} && app.data.people[person].joints[joint] === '{name}');"
        " return hit ? [hit.at[0] + box.left, hit.at[1] + box.top] : null; })()"
    )
    return None if found is None else (found[0], found[1])


def panel(browser: Browser, name: str) -> np.ndarray:
    """A picture of one panel as it is on the screen."""
    x, y, w, h = browser.run(
        f"(() => {{ const {{ x, y, width, height }} = byId('{name}').getBoundingClientRect();"
        " return [x, y, width, height].map(Math.round); })()"
    )
    return browser.picture()[y : y + h, x : x + w]


def changed(a: np.ndarray, b: np.ndarray) -> float:
    """The share of pixels that differ clearly."""
    return float((np.abs(a.astype(int) - b.astype(int)).max(axis=-1) > 24).mean())


def clean(browser: Browser) -> None:
    """No complaint, and nothing asked for but the page and what it holds."""
    assert browser.errors == []
    assert [address for address in browser.requests if not address.startswith(("file:", "data:"))] == []
    assert sum(address.startswith("file:") for address in browser.requests) == 1
    assert browser.run("document.body.dataset.broken") is None
