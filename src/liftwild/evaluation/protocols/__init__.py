"""Protocols: what is measured on which joints, and the tables it is told in. One file each."""

from __future__ import annotations

from liftwild.errors import LiftwildError
from liftwild.evaluation.protocols.h36m import H36M
from liftwild.evaluation.protocols.mpi_inf_3dhp import MPI_INF_3DHP
from liftwild.evaluation.protocols.mpii import MPII
from liftwild.evaluation.protocols.open import OPEN
from liftwild.evaluation.protocols.protocol import Protocol
from liftwild.evaluation.protocols.symmetry import SYMMETRY

PROTOCOLS: dict[str, Protocol] = {each.name: each for each in (OPEN, H36M, MPI_INF_3DHP, MPII, SYMMETRY)}


def find_protocol(name: str) -> Protocol:
    """The protocol of this name; LiftwildError if there is none."""
    if name not in PROTOCOLS:
        raise LiftwildError(f"no protocol {name!r}; this liftwild has {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
