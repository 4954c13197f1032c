"""What the server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answers = Counter(
            "liftwild_requests", "Answers by route and status", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "liftwild_request_seconds", "Time to answer, s", ["route"], buckets=SECONDS, registry=self.registry
        )
        self.photos = Gauge("liftwild_photos_waiting", "Photos that wait or are in work", registry=self.registry)
        self.jobs = Gauge("liftwild_recordings", "Recordings by state", ["state"], registry=self.registry)
        self.live = Gauge("liftwild_live_sessions", "Cameras that are followed", registry=self.registry)
        self.frames = Counter("liftwild_live_frames", "Pictures of cameras that were done", registry=self.registry)
        self.starts = Counter("liftwild_worker_starts", "Starts of processes", ["kind"], registry=self.registry)

    def text(self) -> bytes:
        """All of them as text."""
        return generate_latest(self.registry)
