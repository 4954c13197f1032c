"""The page of ``liftwild serve`` as a person uses it, in a browser."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.browser import Browser

READY = "document.body.dataset.ready"
WORK_S = 240.0  # for a photo or a short video, on a busy machine
# The viewer of a result that is shown, and has drawn.
SHOWN = (
    "!document.getElementById('result').hidden && document.getElementById('view').contentDocument !== null"
    " && document.getElementById('view').contentWindow.location.href === document.getElementById('view').src"
    " && document.getElementById('view').contentDocument.body?.dataset.frame !== undefined"
)


class AppPage:
    """The page of a server at ``address``, in ``browser``."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser, self.address = browser, address

    def open(self, width: int = 1280, height: int = 800, phone: bool = False, dark: bool = False) -> None:
        """Open it anew."""
        self.browser.open(f"{self.address}/", width, height, phone, dark, ready=READY)

    def forget(self) -> None:
        """Remove all results on the server, and what the browser remembers; from an address that asks for nothing."""
        self.browser.open(f"{self.address}/healthz", ready="true")
        self.browser.run(
            "(async () => { localStorage.clear(); const { recordings } = await (await fetch('/v1/recordings')).json();"
            " for (const { links } of recordings) await fetch(links.self, { method: 'DELETE' }); })()"
        )

    def text(self, selector: str) -> str:
        """What an element says; "" if it is hidden."""
        return str(self.browser.run(f"document.querySelector({selector!r}).checkVisibility() ?"
                                    f" document.querySelector({selector!r}).textContent : ''"))  # fmt: skip

    def click(self, selector: str) -> None:
        """Click in the middle of an element, with the mouse."""
        self.browser.run(f"document.querySelector({selector!r}).scrollIntoView({{ block: 'nearest' }})")
        x, y = self.middle(selector)
        self.browser.mouse("move", x, y)
        self.browser.mouse("press", x, y)
        self.browser.mouse("release", x, y)

    def middle(self, selector: str) -> tuple[float, float]:
        """Where an element is, px of the window."""
        x, y = self.browser.run(
            f"(({{ x, y, width, height }}) => [x + width / 2, y + height / 2])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        return x, y

    def wait_for_result(self, name: str) -> None:
        """Until the result of the file ``name`` is shown."""
        self.browser.wait(
            f"document.getElementById('result-name').textContent === {name!r} && {SHOWN}", patience_s=WORK_S
        )
        self.browser.settle()

    def person_at(self, index: int) -> tuple[float, float, float, float]:
        """The box of a person on the picture that is shown: x, y, w, h in px of the window."""
        x, y, w, h = self.browser.run(
            "(() => { const frame = parent.document.getElementById('view').getBoundingClientRect();"
            " const canvas = app.picture.canvas.getBoundingClientRect(); const fit = app.picture.fit();"
            f" const box = app.chooser.boxOf({index}).map((value) => value * fit.scale);"
            " return [frame.x + canvas.x + fit.x + box[0], frame.y + canvas.y + fit.y + box[1], box[2], box[3]]; })()",
            "#view",
        )
        return x, y, w, h

    def tab_to(self, condition: str, most: int = 60) -> None:
        """Press Tab until a JavaScript condition holds of ``focused``, the element that has the focus, also inside the
        viewer; AssertionError if it never does."""
        found = "(() => { let focused = document.activeElement;" \
            " while (focused.contentDocument) focused = focused.contentDocument.activeElement;" \
            f" return Boolean({condition}); }})()"  # fmt: skip
        for _ in range(most):
            self.browser.key("Tab")
            if self.browser.run(found):
                return
        raise AssertionError(f"Tab never comes to: {condition}")

    def download(self, folder: Path, pattern: str) -> Path:
        """The file that was downloaded into ``folder``, once it is whole."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            found = [path for path in folder.glob(pattern) if path.suffix != ".crdownload"]
            if found and not list(folder.glob("*.crdownload")):
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"nothing like {pattern} came; there are {sorted(folder.iterdir())}")

    def is_clean(self) -> None:
        """No complaint, and nothing asked of another host."""
        assert self.browser.errors == [], self.browser.errors
        own = (self.address + "/", self.address.replace("http", "ws", 1) + "/", "data:", f"blob:{self.address}/")
        others = [asked[:100] for asked in self.browser.requests if not asked.startswith(own)]
        assert others == [], others
