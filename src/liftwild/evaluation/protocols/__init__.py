"""Protocols: what is measured on which joints, and the tables it is told in. One file each."""

from __future__ import annotations

from collections.abc import Callable

from liftwild.evaluation.predictions import Predictions
from liftwild.evaluation.protocols import open as open_protocol

# Name of a protocol -> its tables, as Markdown.
PROTOCOLS: dict[str, Callable[[Predictions], str]] = {"open": open_protocol.tables}
