"""What is happening: the metrics' last minutes and the last refusals."""

from __future__ import annotations

import dataclasses
from typing import Any

from fastapi import FastAPI

from services.console.history import INTERVAL_S, LENGTH_S, History
from services.gateway.core import Gateway


def add_live_routes(app: FastAPI, gateway: Gateway, history: History) -> None:
    @app.get("/api/live", summary="The last 15 minutes of each model version, without Prometheus", tags=["console"])
    async def live(after: int = 0) -> dict[str, Any]:
        """Give the samples newer than number `after`; who asks again sends the last number that it has."""
        return {
            "interval_s": INTERVAL_S,
            "length_s": LENGTH_S,
            "grafana": gateway.settings.grafana_url,
            "samples": history.after(after),
        }

    @app.get("/api/errors", summary="The last refusals, newest first", tags=["console"])
    async def errors() -> list[dict[str, Any]]:
        return [dataclasses.asdict(error) for error in gateway.recent_errors]
