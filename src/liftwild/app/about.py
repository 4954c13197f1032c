"""What the server says of itself: weights, health, counters; and how a browser gets its token."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from liftwild import __version__
from liftwild.app.guard import COOKIE
from liftwild.app.metrics import MEDIA_TYPE
from liftwild.app.problem import ProblemError
from liftwild.app.queries import names_of
from liftwild.app.state import state_of
from liftwild.inference.runtime_kinds import EXPORTED
from liftwild.skeleton import MPII_16
from liftwild.weights_files import find_weights

router = APIRouter()


@router.get("/v1/models", summary="The weights that there are", tags=["server"])
async def get_models(request: Request) -> dict[str, Any]:
    """Names for ``weights=``, their joints, and what their licence says."""
    own = state_of(request).settings.weights
    names = names_of(own)
    return {"default": names[0], "models": [_model(own if name == names[0] else name, name) for name in names]}


@cache
def _model(weights: str, name: str) -> dict[str, Any]:
    # Weights in a file of another runtime have no card beside them.
    is_exported = Path(weights).suffix in EXPORTED
    card = {} if is_exported else json.loads(find_weights(weights).with_suffix(".json").read_text(encoding="utf-8"))
    kept = {key: card[key] for key in ("licence", "parameters", "giga_macs", "trained_on") if key in card}
    return {"name": name, **kept, "joints": list(MPII_16.names)}


@router.get("/healthz", summary="Whether the server lives", tags=["server"])
async def get_health() -> dict[str, str]:
    """Says so."""
    return {"status": "ok", "liftwild": __version__}


@router.get("/metrics", summary="Counters, for Prometheus", tags=["server"])
async def get_metrics(request: Request) -> Response:
    """Prometheus' text format."""
    return Response(state_of(request).metrics.text(), media_type=MEDIA_TYPE)


@router.get("/enter", include_in_schema=False)
async def get_enter(request: Request, token: Annotated[str, Query(max_length=500)] = "") -> Response:
    """Give a browser its token as a cookie, and show it the page."""
    settings = state_of(request).settings
    if settings.owner(token) is None:
        raise ProblemError(401, "this is not the token of this server; it printed the right address when it began")
    answer = RedirectResponse("/", 303)
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return answer
