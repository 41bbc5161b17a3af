"""What is happening: the metrics' last minutes, what is known of candidates, and the last refusals."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request

from services.console.history import INTERVAL_S, LENGTH_S, History
from services.gateway.caller import Caller, may_see
from services.gateway.core import Gateway
from services.gateway.drift import MUCH, UNLIKELY
from services.gateway.rest_screen import describe_caller


def add_live_routes(app: FastAPI, gateway: Gateway, history: History) -> None:
    @app.get("/api/live", summary="The last 15 minutes of each model version, without Prometheus", tags=["console"])
    async def live(request: Request, after: int = 0) -> dict[str, Any]:
        """Give the samples newer than number `after`; who asks again sends the last number that it has."""
        caller = describe_caller(request)
        samples = history.after(after) if gateway.peers is None else await gateway.peers.list_samples(after)
        return {
            "interval_s": INTERVAL_S,
            "length_s": LENGTH_S,
            "grafana": gateway.settings.grafana_url,
            "drift": {"stability_index": MUCH, "p_value": UNLIKELY},
            "gates": [gate.model_dump() for gate in await gateway.report_gates() if may_see(caller, gate.model)],
            "samples": [sample | {"versions": _keep_seen(caller, sample["versions"])} for sample in samples],
        }

    @app.get("/api/errors", summary="The last refusals, newest first", tags=["console"])
    async def errors(request: Request) -> list[dict[str, Any]]:
        caller = describe_caller(request)
        return [error._asdict() for error in await gateway.list_errors() if may_see(caller, error.model)]


def _keep_seen(caller: Caller, versions: dict[str, Any]) -> dict[str, Any]:
    """Keep those versions, by "model version", whose models a caller may see."""
    return {name: at for name, at in versions.items() if may_see(caller, name.partition(" ")[0])}
