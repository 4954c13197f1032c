"""Protocols: what is measured on which joints, and the tables it is told in. One file each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liftwild.errors import LiftwildError

if TYPE_CHECKING:
    from liftwild.evaluation.protocols.protocol import Protocol

PROTOCOL_NAMES = ("open", "h36m", "mpi-inf-3dhp", "mpii", "symmetry")


def find_protocol(name: str) -> Protocol:
    """The protocol of this name; LiftwildError if there is none. They load here: help lists their names alone."""
    if name not in PROTOCOL_NAMES:
        raise LiftwildError(f"no protocol {name!r}; this liftwild has {', '.join(PROTOCOL_NAMES)}")
    from liftwild.evaluation.protocols.h36m import H36M
    from liftwild.evaluation.protocols.mpi_inf_3dhp import MPI_INF_3DHP
    from liftwild.evaluation.protocols.mpii import MPII
    from liftwild.evaluation.protocols.open import OPEN
    from liftwild.evaluation.protocols.symmetry import SYMMETRY

    return {each.name: each for each in (OPEN, H36M, MPI_INF_3DHP, MPII, SYMMETRY)}[name]
