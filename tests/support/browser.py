"""A headless Chromium for tests, driven over a pipe by its DevTools protocol; nothing but the standard library."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars=false",
    "--force-color-profile=srgb", "--force-device-scale-factor=1", "--font-render-hinting=none",
)  # fmt: skip
# The browser reads from its file 3 and writes to 4.
START = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
PATIENCE_S = 60.0  # machines that test are often busy
# What a page and the browser itself know keys by; text that they enter.
KEY_CODES = {
    "Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38,
    "ArrowRight": 39, "ArrowDown": 40, "Delete": 46,
}  # fmt: skip
KEY_TEXTS = {"Enter": "\r"}
SHIFT = 8
# A camera that plays a file of JPEGs, one after the other, .mjpeg, and asks nobody.
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


def find_browser() -> str | None:
    """Path of a Chromium, that of the environment's LIFTWILD_BROWSER first, or None."""
    named = os.environ.get("LIFTWILD_BROWSER")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One browser with one tab. ``flags``: more of its command line; ``requests``: addresses it asked for; ``errors``:
    what it complained about; ``choosers``: how often it would have shown its window to choose files."""

    def __init__(self, program: str, *flags: str) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="liftwild-browser-", ignore_cleanup_errors=True)
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()

        self._process = subprocess.Popen(
            [sys.executable, "-c", START, str(to_read), str(to_write), program, *FLAGS, *flags,
             f"--user-data-dir={self._profile.name}", "about:blank"],
            pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._buffer, self._ids, self._session = b"", itertools.count(1), ""
        self._answers: dict[int, dict[str, Any]] = {}
        self._contexts: dict[str, int] = {}  # in which a frame's scripts run
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.choosers = 0
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
        self._profile.cleanup()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What the browser answers to one command; RuntimeError if it refuses or does not answer."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE_S
        while number not in self._answers:
            self._listen(until)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _listen(self, until: float) -> None:
        if not select.select([self._read], [], [], max(0.0, until - time.monotonic()))[0]:
            raise RuntimeError("the browser does not answer")
        part = os.read(self._read, 1 << 20)
        if not part:
            raise RuntimeError("the browser ended")
        *messages, self._buffer = (self._buffer + part).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._note(message["method"], message["params"])

    def _note(self, event: str, params: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif event == "Runtime.executionContextCreated" and params["context"]["auxData"]["isDefault"]:
            self._contexts[params["context"]["auxData"]["frameId"]] = params["context"]["id"]
        elif event == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif event == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert", "warning"):
            self.errors.append(str([part.get("value", part.get("description")) for part in params["args"]]))
        elif event == "Page.fileChooserOpened":
            self.choosers += 1
        elif event == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')[:200]}".strip())

    def open(
        self, page: Path | str, width: int = 1200, height: int = 700, phone: bool = False, dark: bool = False,
        ready: str = "document.body.dataset.frame !== undefined",
    ) -> None:  # fmt: skip
        """Show ``page``, a file or an address, in a window of that size (px), as a phone with a finger if told so;
        ``ready``: what is true in it once it is there."""
        self.requests, self.errors = [], []
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=page.resolve().as_uri() if isinstance(page, Path) else page)
        self.wait(f"document.readyState === 'complete' && {ready}")

    def choose(self, field: str, *paths: Path) -> None:
        """Choose files in the input that a CSS selector names."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=field)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path.resolve()) for path in paths])

    def drop(self, x: float, y: float, *paths: Path) -> None:
        """Drag files from elsewhere to px of the window, and drop them."""
        data = {"items": [], "files": [str(path.resolve()) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def save_into(self, folder: Path) -> None:
        """Where downloads go from now on, without a question."""
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder.resolve()))

    def run(self, code: str, frame: str = "") -> Any:
        """The value of a JavaScript expression in the page, or in the page that the <iframe> ``frame``, a CSS selector,
        holds."""
        where = {"contextId": self._context(frame)} if frame else {}
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True, **where)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", "it threw"))
        return answer["result"].get("value")

    def _context(self, frame: str) -> int:
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=frame)["nodeId"]
        return self._contexts[self.call("DOM.describeNode", nodeId=node)["node"]["frameId"]]

    def wait(self, code: str, frame: str = "", patience_s: float = PATIENCE_S) -> None:
        """Until a JavaScript expression is true; RuntimeError with it, and the page's complaints, after a while."""
        until = time.monotonic() + patience_s
        while not self.run(f"Boolean({code})", frame):
            if time.monotonic() > until:
                raise RuntimeError(f"never: {code}; {self.errors}")
            time.sleep(0.02)

    def settle(self) -> None:
        """Until what was asked for is on the screen."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def mouse(self, kind: str, x: float, y: float, pressed: bool = False, **more: Any) -> None:
        """``kind`` "move", "press", "release" or "wheel" at px of the window."""
        name = {"move": "mouseMoved", "press": "mousePressed", "release": "mouseReleased", "wheel": "mouseWheel"}[kind]
        held = kind in ("press", "release") or pressed
        self.call(
            "Input.dispatchMouseEvent", type=name, x=x, y=y, button="left" if held else "none",
            buttons=1 if kind == "press" or pressed else 0, clickCount=1 if kind in ("press", "release") else 0, **more,
        )  # fmt: skip

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press, move in a few steps, let go."""
        self.mouse("move", *start)
        self.mouse("press", *start)
        for share in (0.25, 0.5, 0.75, 1.0):
            x, y = (a + (b - a) * share for a, b in zip(start, end, strict=True))
            self.mouse("move", x, y, pressed=True)
        self.mouse("release", *end)

    def tap(self, x: float, y: float) -> None:
        """A finger's tap at px of the window."""
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def key(self, key: str, shift: bool = False) -> None:
        """One key, as JavaScript calls it."""
        text = KEY_TEXTS.get(key, key if len(key) == 1 else "")
        more: dict[str, Any] = {"windowsVirtualKeyCode": KEY_CODES[key]} if key in KEY_CODES else {}
        more |= {"modifiers": SHIFT} if shift else {}
        for kind, written in (("keyDown", {"text": text} if text else {}), ("keyUp", {})):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **written, **more)

    def picture(self) -> np.ndarray:
        """What is on the screen: (H, W, 3) uint8 RGB."""
        self.settle()
        content = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
