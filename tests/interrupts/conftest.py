"""A server of commands, their inputs, and what each leaves where nobody disturbs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.disturbed_commands import COMMANDS, LONG, Server, Undisturbed, contents, make_inputs, started_server


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    with started_server() as one:
        yield one


@pytest.fixture(scope="package")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Callable[[str], Undisturbed]:
    """What a command of that name leaves."""
    inputs = tmp_path_factory.mktemp("inputs")
    make_inputs(inputs)
    measure = ["evaluate", str(inputs / "tiny.safetensors"), str(inputs / "three.arrow"), "-o", "predictions.arrow"]
    assert server.run(measure, inputs)[0]["code"] == 0
    known: dict[str, Undisturbed] = {}

    def find(name: str) -> Undisturbed:
        if name not in known:
            count = "9" if LONG else "4"  # for more than a batch processes are started, which takes seconds
            typed = COMMANDS[name].replace("COUNT", count).replace("IN/", f"{inputs}/").split(" ")
            folder = tmp_path_factory.mktemp("undisturbed")
            answer, said = server.run(typed, folder)
            assert answer["code"] == 0, said
            known[name] = Undisturbed(typed, contents(folder), answer["seconds"])
        return known[name]

    return find
