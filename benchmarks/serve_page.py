"""The camera of the page of ``liftwild serve``, in a headless Chromium: from a picture to its drawing, and drawings a
second.

python benchmarks/serve_page.py [--people 1,2] [--rounds 3] [--seconds 20] [--before JAVASCRIPT]

A camera of 640 x 480 px at 25/s plays rendered people, there and back. Server, browser and the browser's WebGL, which
is in software, share the cores of this machine. Nothing else should run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # the browser is driven as in the tests

from liftwild.media.encoding import jpeg_bytes
from liftwild.synthetic.render.clip import render_clip
from tests.support.browser import FAKE_CAMERA, Browser, find_browser

SEED = 4  # two people who stand apart
SETTLED_S = 8.0  # until the process is there and what the page adapts has adapted
FRAMES, FPS = 24, 25
COLUMNS = (
    "people", "frames/s", "picture to drawing p50", "p95", "encoded", "in the process", "sent, waited, answered",
    "drawn", "people seen", "highest number",
)  # fmt: skip
# Of each picture that was drawn: [grabbed, sent, answered, drawn, ms in the process, people, their highest number].
MARKS = """
import('/page/camera.js').then(({ Camera }) => {
  window.marks = [];
  const sent = new Map();
  const answers = [];
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (message) {
    sent.set(new DataView(message.buffer).getFloat64(0, true), performance.now());
    send.call(this, message);
  };
  const { hear } = Camera.prototype;
  Camera.prototype.hear = function (answer) {
    if (answer.people) {
      const ids = answer.people.map(({ id }) => id);
      const times = [1000 * answer.t, sent.get(answer.t), performance.now(), answer.ms];
      answers.push([...times, ids.length, Math.max(-1, ...ids)]);
    }
    hear.call(this, answer);
    if (this.latencies.push !== Array.prototype.push) return;
    this.latencies.push = function (latency) {
      const now = performance.now();
      const far = answers.map(([grabbed]) => Math.abs(now - latency - grabbed));
      const index = far.indexOf(Math.min(...far));
      const [grabbed, begun, heard, ...more] = answers[index];
      answers.splice(0, index + 1);
      window.marks.push([grabbed, begun, heard, now, ...more]);
      return Array.prototype.push.call(this, latency);
    };
  };
})
"""


def main() -> None:
    """Start the server and a browser for each row, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--before", default="", help="JavaScript, run in the view before it is measured")
    asked = parser.parse_args()
    program = find_browser()
    if program is None:
        sys.exit("no Chromium to measure with")
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    with tempfile.TemporaryDirectory() as folder:
        plays = {
            people: camera_file(Path(folder) / f"{people}.mjpeg", people)
            for people in map(int, asked.people.split(","))
        }
        command = [
            sys.executable,
            "-m",
            "liftwild",
            "serve",
            "--port",
            "0",
            "--data",
            f"{folder}/data",
            "--weights",
            "small",
        ]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1]
            for people, path in plays.items():
                for _ in range(asked.rounds):
                    print(row(people, *drawings(program, address, path, asked.seconds, asked.before)), flush=True)
        finally:
            server.terminate()
            server.wait()


def camera_file(path: Path, people: int) -> Path:
    """What a camera plays, as Chromium reads it: rendered people, there and back."""
    pictures = [frame.image[64:320] for frame in render_clip(FRAMES, SEED, people=people, fps=FPS, size=384)]
    coded = [jpeg_bytes(cv2.resize(picture, (640, 480)), 90) for picture in pictures]
    path.write_bytes(b"".join([*coded, *coded[-2:0:-1]]))
    return path


def drawings(program: str, address: str, plays: Path, seconds: float, before: str) -> tuple[np.ndarray, float]:
    """Times of the pictures that were drawn, (N, 7) as MARKS says, and how long it was measured, s."""
    browser = Browser(program, *FAKE_CAMERA, f"--use-file-for-fake-video-capture={plays}")
    try:
        browser.open(address, 1280, 800, ready="document.body.dataset.ready")
        browser.run(MARKS)
        browser.run("document.getElementById('camera-open').click()")
        browser.wait("window.marks.length > 5")
        if before:
            browser.run(before, "#live")
        time.sleep(SETTLED_S)
        begun = browser.run("(window.marks.length = 0, performance.now())")
        time.sleep(seconds)
        marks, ended = browser.run("[window.marks, performance.now()]")
        assert not browser.errors, browser.errors
        return np.array(marks), (ended - begun) / 1000
    finally:
        browser.close()


def row(people: int, marks: np.ndarray, seconds: float) -> str:
    """A line of the table."""
    grabbed, sent, heard, drawn, inside, seen, number = marks.T
    p50, p95 = np.percentile(drawn - grabbed, (50, 95))
    parts = (sent - grabbed, inside, heard - sent - inside, drawn - heard)
    times = " | ".join(f"{value:.0f} ms" for value in (p50, p95, *(np.median(part) for part in parts)))
    return f"| {people} | {len(marks) / seconds:.1f} | {times} | {seen.mean():.1f} | {number.max():.0f} |"


if __name__ == "__main__":
    main()
