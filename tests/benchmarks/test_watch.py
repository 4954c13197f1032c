"""benchmarks/watch.py: each thread's time goes to the innermost stage that it is in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest


def test_stages_within_stages_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    import watch as module
    from watch import MAIN, OTHERS, REST, Spot, Watch, clocks

    now = [0.0]
    fake = SimpleNamespace(
        perf_counter=lambda: now[0], thread_time=lambda: now[0] / 2, process_time=lambda: now[0] * 3
    )  # fmt: skip
    monkeypatch.setattr(module, "time", fake)

    def passes(seconds: float) -> None:
        now[0] += seconds

    def outer() -> None:
        passes(1)
        work.inner()
        passes(2)

    def many() -> Iterator[int]:
        for number in range(2):
            passes(100)
            yield number

    work = SimpleNamespace(inner=lambda: passes(10), outer=outer, many=many)
    inner, watch = work.inner, Watch()
    spots = [
        Spot("alone", work, "inner", within=("about", "within")), Spot("about", work, "outer"),
        Spot("many", work, "many", gives_many=True),
    ]  # fmt: skip
    with clocks(watch, spots), watch.running():
        work.outer()
        work.inner()
        passes(5)
        reader = threading.Thread(target=lambda: [passes(1000) for _ in work.many()])
        reader.start()
        reader.join()
    assert work.inner is inner
    found = {key: (spent.calls, spent.wall, spent.cpu) for key, spent in watch.spent.items()}
    assert found == {
        (MAIN, "about"): (1, 3, 1.5), (MAIN, "within"): (1, 10, 5), (MAIN, "alone"): (1, 10, 5),
        (MAIN, REST): (1, 2205, 1102.5),  # the main thread waits for the other
        (OTHERS, "many"): (3, 200, 100),  # two and the end, without what the thread does with each
    }  # fmt: skip
    assert (watch.wall, watch.cpu) == (2228, 3 * 2228)


def test_a_spot_that_is_gone_is_an_error_and_leaves_no_clock() -> None:
    from watch import Spot, Watch, clocks

    work = SimpleNamespace(there=len)
    with pytest.raises(AttributeError), clocks(Watch(), [Spot("a", work, "there"), Spot("b", work, "gone")]):
        pass
    assert work.there is len
