"""The camera of ``liftwild serve``: from a picture that is sent to its answer, and answers a second.

python benchmarks/serve_live.py [CLIP] [--sessions 1,2] [--fps 30] [--seconds 20] [--weights small] [--people 6]

A server is started as a user starts it; each session sends a clip's pictures, as 640 x 480 px JPEG, at the camera's
rate. Without CLIP, the rendered person of examples/. What a browser needs for its own part comes
on top. Nothing else should run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
import websockets

from liftwild.media.video import open_clip

CLIP = Path(__file__).parents[1] / "examples" / "clip.mp4"
SIZE, QUALITY, DISTINCT = (640, 480), 80, 100
ANSWERED_S = 30.0  # for the first picture: networks are loaded meanwhile


def main() -> None:
    """Start the server, run each count of sessions, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, nargs="?", default=CLIP)
    parser.add_argument("--sessions", default="1,2")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--weights", default="small")
    parser.add_argument("--people", type=int, default=6)
    asked = parser.parse_args()
    pictures = pictures_of(asked.clip)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "liftwild", "serve", "--port", "0", "--data", folder, "--weights", "small"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1].replace("http", "ws", 1)
            url = f"{address}v1/live?weights={asked.weights}&people={asked.people}"
            print("| sessions | people | answers/s each | latency p50 | p95 | in the process p50 | p95 |")
            print("| --- | --- | --- | --- | --- | --- | --- |")
            for count in map(int, asked.sessions.split(",")):
                print(row(asyncio.run(together(url, pictures, count, asked.fps, asked.seconds)), asked.seconds))
        finally:
            server.terminate()
            server.wait()


def pictures_of(clip: Path) -> list[bytes]:
    """JPEGs of a clip's first seconds, cut to the shape of a camera's pictures."""
    frames = (frame.image for frame in open_clip(clip).frames())
    images = list(islice((image for image in frames if image is not None), DISTINCT))
    return [_jpeg(image) for image in images]


def _jpeg(image: np.ndarray) -> bytes:
    width, height = SIZE
    scale = min(width / image.shape[1], height / image.shape[0])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:height, :width]
    picture = np.full((height, width, 3), 90, np.uint8)
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    picture[top : top + small.shape[0], left : left + small.shape[1]] = small
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


async def together(url: str, pictures: Sequence[bytes], count: int, fps: float, seconds: float) -> list[np.ndarray]:
    """Of each of ``count`` sessions its answers (N, 3): latency and time in the process, ms, and people."""
    return await asyncio.gather(*(session(url, pictures, fps, seconds) for _ in range(count)))


async def session(url: str, pictures: Sequence[bytes], fps: float, seconds: float) -> np.ndarray:
    """One camera that is followed for ``seconds``, after the first answer came."""
    answers: list[tuple[float, float, int]] = []
    async with websockets.connect(url, compression=None) as socket:
        await socket.recv()
        zero = time.perf_counter()
        await socket.send(struct.pack("<d", 0.0) + pictures[0])
        await asyncio.wait_for(socket.recv(), ANSWERED_S)

        async def receive() -> None:
            async for text in socket:
                found = json.loads(text)
                answers.append((1000 * (time.perf_counter() - zero - found["t"]), found["ms"], len(found["people"])))

        receiving = asyncio.create_task(receive())
        begun = due = time.perf_counter()
        for picture in cycle([*pictures, *pictures[-2:0:-1]]):  # there and back
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if due - begun > seconds:
                break
            await socket.send(struct.pack("<d", time.perf_counter() - zero) + picture)
            due += 1 / fps
        await asyncio.sleep(0.5)
        receiving.cancel()
    return np.array(answers)


def row(sessions: Sequence[np.ndarray], seconds: float) -> str:
    """A line of the table."""
    every = np.concatenate(sessions)
    latency, inside = (np.percentile(every[:, column], (50, 95)) for column in (0, 1))
    rate = " ".join(f"{len(each) / seconds:.1f}" for each in sessions)
    times = " | ".join(f"{value:.0f} ms" for value in (*latency, *inside))
    return f"| {len(sessions)} | {every[:, 2].mean():.1f} | {rate} | {times} |"


if __name__ == "__main__":
    main()
