"""What `liftwild serve` does under load, against `liftwild predict` on the same photos.

python benchmarks/serve.py [--clients 32] [--requests 10000] [--videos 5] [--cameras 2] [--rounds 3]
    [--photos FOLDER] [--weights base] [--runtime auto]

In each round the command works on a folder of photos, then the clients post the same ones: photos/s of both, and their
ratio. Then the load: so many requests, with videos and cameras beside them; times, memory, CPU, answers by status.
--videos 0 --cameras 0: photos alone. --requests 0: the comparison alone.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from photos import photos_for_all

CLIP = Path(__file__).parents[1] / "examples" / "clip.mp4"
LIFTWILD = [sys.executable, "-m", "liftwild"]
CAMERA_FPS = 15
WARM = 100  # requests before anything is measured
PATIENCE_S = 300.0


@dataclass
class Load:
    """What the clients saw. ``seconds`` of each answer of 200; ``statuses`` of all."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    clips: list[float] = field(default_factory=list)


class Server:
    """`liftwild serve` in a process."""

    def __init__(self, folder: Path, weights: str, runtime: str) -> None:
        command = [*LIFTWILD, "serve", "--port", "0", "--data", str(folder), "--weights", weights, "--runtime", runtime]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2].strip("/ \n"))

    def processes(self) -> dict[str, int]:
        """The server and its processes by what they do."""
        found = {"server": self.process.pid}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(") ")[2].split()[1])
                if parent == self.process.pid:
                    module = (folder / "cmdline").read_text().split("\0")[2].rpartition(".")[2]
                    found[f"{module} {len(found)}"] = int(folder.name)
            except (OSError, IndexError):
                continue
        return found

    def end(self) -> None:
        """As Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


def cpu_s(process: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(process: int) -> float:
    """Memory of its own, MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) * 1024 / 1e6


@contextmanager
def started(weights: str, runtime: str) -> Iterator[Server]:
    """A server until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), weights, runtime)
        try:
            yield server
        finally:
            server.end()


async def request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, path: str, port: int, body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """An answer: status, headers, body."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode())
    writer.write(body)
    await writer.drain()
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, await reader.readexactly(int(headers.get("content-length", 0)))


async def post_photos(port: int, photos: Iterator[bytes], load: Load) -> None:
    """One client: a photo after the other on one connection, as long as there are any; as often as it is told 429."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    for photo in photos:
        while True:
            begun = time.monotonic()
            status, headers, _ = await request(reader, writer, "POST", "/v1/poses", port, photo)
            load.statuses[str(status)] += 1
            if status != 429:
                break
            if "retry-after" not in headers:
                load.statuses["429 without Retry-After"] += 1
            await asyncio.sleep(float(headers.get("retry-after", 1)))
        if status == 200:
            load.seconds.append(time.monotonic() - begun)
    writer.close()


async def post_clip(port: int, load: Load) -> None:
    """A video, followed to its end."""
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    status, headers, body = await request(reader, writer, "POST", "/v1/recordings", port, CLIP.read_bytes())
    load.statuses[f"clip {status}"] += 1
    while status in (200, 202) and (state := json.loads(body)["state"]) not in ("done", "failed"):
        await asyncio.sleep(0.5)
        status, _, body = await request(reader, writer, "GET", headers["location"], port)
    if status == 200:
        load.statuses[f"clip {state}"] += 1
        load.clips.append(time.monotonic() - begun)
    writer.close()


async def follow_camera(port: int, picture: bytes, load: Load) -> None:
    """A camera of ``CAMERA_FPS``, until it is cancelled."""
    from websockets.asyncio.client import connect

    async with connect(f"ws://127.0.0.1:{port}/v1/live", max_size=1 << 24) as socket:

        async def send() -> None:
            while True:
                await socket.send(struct.pack("<d", time.monotonic()) + picture)
                await asyncio.sleep(1 / CAMERA_FPS)

        sending = asyncio.create_task(send())
        try:
            async for message in socket:
                answer = json.loads(message)
                if "people" in answer:
                    load.latencies.append(time.monotonic() - answer["t"])
                elif "error" in answer:
                    load.statuses["camera error"] += 1
        finally:
            sending.cancel()


async def under_load(port: int, photos: list[bytes], count: int, clients: int, videos: int, cameras: int) -> Load:
    """``count`` photos by so many clients at once, beside videos and cameras; the cameras end with the photos."""
    load = Load()
    left = itertools.islice(itertools.cycle(photos), count)
    watching = [asyncio.create_task(follow_camera(port, photos[0], load)) for _ in range(cameras)]
    clips = [asyncio.create_task(post_clip(port, load)) for _ in range(videos)]
    await asyncio.gather(*(post_photos(port, left, load) for _ in range(clients)))
    for each in watching:
        if each.done():
            load.statuses["camera ended"] += 1
        each.cancel()
    await asyncio.wait_for(asyncio.gather(*clips), PATIENCE_S)
    return load


def predict_s(folder: Path, out: Path, options: list[str]) -> tuple[float, float]:
    """How long the command takes for a folder of photos, and how much CPU."""
    begun, before = time.monotonic(), os.times()
    subprocess.run(
        [*LIFTWILD, "predict", str(folder), "-o", str(out), "--format", "json", "--no-figure", *options],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    used = os.times()
    cpu = used.children_user + used.children_system - before.children_user - before.children_system
    return time.monotonic() - begun, cpu


def copies(paths: list[Path], count: int, folder: Path) -> Path:
    """A folder with ``count`` photos, the given ones over and over."""
    folder.mkdir()
    for number, path in zip(range(count), itertools.cycle(paths), strict=False):
        shutil.copyfile(path, folder / f"{number:05}{path.suffix}")
    return folder


def compare(server: Server, paths: list[Path], arguments: argparse.Namespace, folder: Path) -> None:
    """Print photos/s of both ways, and their ratio."""
    count, options = arguments.compared, ["--weights", arguments.weights, "--runtime", arguments.runtime]
    many, one = copies(paths, count + len(paths), folder / "many"), copies(paths, len(paths), folder / "few")
    photos = [path.read_bytes() for path in paths]
    rows = []
    for number in range(arguments.rounds):
        (few_s, few_cpu), (many_s, many_cpu) = (
            predict_s(each, folder / f"{each.name}-{number}", options) for each in (one, many)
        )
        before = {name: cpu_s(process) for name, process in server.processes().items()}
        begun, own = time.monotonic(), time.process_time()
        asyncio.run(under_load(server.port, photos, count, arguments.clients, 0, 0))
        lasted, own = time.monotonic() - begun, time.process_time() - own
        used = {name: (cpu_s(process) - before.get(name, 0.0)) for name, process in server.processes().items()}
        rows.append((count / (many_s - few_s), count / lasted))
        cpu = ", ".join(f"{name} {1000 * value / count:.1f}" for name, value in used.items())
        print(
            f"round {number + 1}: predict {rows[-1][0]:.1f}/s, serve {rows[-1][1]:.1f}/s, ratio "
            f"{rows[-1][1] / rows[-1][0]:.2f}; ms of CPU a photo: predict "
            f"{1000 * (many_cpu - few_cpu) / count:.1f}; {cpu}, clients {1000 * own / count:.1f}"
        )
    ratios = sorted(served / predicted for predicted, served in rows)
    print(f"serve / predict: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def quantile(values: list[float], share: float) -> float:
    """Of ``values``, s, in ms."""
    return 1000 * sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def load_test(server: Server, photos: list[bytes], arguments: argparse.Namespace) -> None:
    """Print what a long load does."""
    before = {name: memory_mb(process) for name, process in server.processes().items()}
    begun, own = time.monotonic(), time.process_time()
    count, clients, videos, cameras = arguments.requests, arguments.clients, arguments.videos, arguments.cameras
    load = asyncio.run(under_load(server.port, photos, count, clients, videos, cameras))
    lasted, own = time.monotonic() - begun, time.process_time() - own
    print(
        f"{count} photos of {clients} clients, {videos} videos, {cameras} cameras: {lasted:.0f} s; "
        f"{len(load.seconds) / lasted:.1f} photos/s; the clients took {own / lasted:.0%} of a core"
    )
    print(f"answers: {dict(sorted(load.statuses.items()))}")
    photo_ms = " / ".join(f"{quantile(load.seconds, share):.0f}" for share in (0.5, 0.99, 1.0))
    print(f"photos, ms: p50 / p99 / longest {photo_ms}")
    if load.latencies:
        live_ms = " / ".join(f"{quantile(load.latencies, share):.0f}" for share in (0.5, 0.99, 1.0))
        rate = len(load.latencies) / lasted / cameras
        print(f"cameras: {rate:.1f} answers/s each, ms: p50 / p99 / longest {live_ms}")
    if load.clips:
        print(f"videos, s until done: {', '.join(f'{each:.0f}' for each in sorted(load.clips))}")
    after = {name: memory_mb(process) for name, process in server.processes().items()}
    for name, value in after.items():
        was = f"{before[name]:.0f}" if name in before else "-"
        print(f"memory of {name}: {was} -> {value:.0f} MB")


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--videos", type=int, default=5)
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compared", type=int, default=320, help="photos of the comparison")
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--weights", default="base")
    parser.add_argument("--runtime", default="auto")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, started(arguments.weights, arguments.runtime) as server:
        folder = Path(name)
        paths = photos_for_all(arguments.photos, folder)
        photos = [path.read_bytes() for path in paths]
        asyncio.run(under_load(server.port, photos, WARM, arguments.clients, 0, 0))
        if arguments.rounds:
            compare(server, paths, arguments, folder)
        if arguments.requests:
            load_test(server, photos, arguments)


if __name__ == "__main__":
    main()
