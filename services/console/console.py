"""The console of one gateway: its page, its endpoints and the memory of the last minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from fastapi import FastAPI

from model_store.store import Store
from services.console.acts import add_act_routes
from services.console.evidence import add_evidence_routes
from services.console.explain import add_explain_routes
from services.console.history import INTERVAL_S, History
from services.console.live import add_live_routes
from services.console.models import add_model_routes
from services.console.releases import Shelf, add_release_routes
from services.console.reports import add_report_routes
from services.console.steering import add_steering_routes
from services.explaining import Explanations
from services.gateway.core import Gateway
from services.gateway.metrics import Families, take_turns

logger = structlog.get_logger("console")


class Console:
    """Everything that the page shows of a gateway; `store` is None where nobody knows which releases there are."""

    def __init__(
        self,
        gateway: Gateway,
        store: Store | None = None,
        reports: Path = Path("reports"),
        collect: Callable[[], Awaitable[Families]] | None = None,
    ) -> None:
        """`collect` collects the metrics that are remembered; by default the gateway's own."""
        self._gateway = gateway
        self._collect = collect or gateway.metrics.collect
        self._shelf = Shelf(store, gateway)
        self._reports = reports
        self._explanations = Explanations()
        self.history = History()

    def add_routes(self, app: FastAPI, grpc_port: int) -> None:
        add_model_routes(app, self._gateway, grpc_port)
        add_live_routes(app, self._gateway, self.history)
        add_release_routes(app, self._shelf)
        add_explain_routes(app, self._gateway, self._shelf, self._explanations)
        add_evidence_routes(app, self._shelf)
        add_act_routes(app, self._gateway, self._shelf)
        add_steering_routes(app, self._gateway, self._shelf)
        add_report_routes(app, self._reports)

    async def remember(self) -> None:
        """Take a sample of the metrics every few seconds, for ever."""
        while True:
            try:
                async for _ in take_turns(self.history.take_steps(await self._collect())):
                    pass
            except Exception:
                logger.exception("the metrics could not be sampled; trying again")
            await asyncio.sleep(INTERVAL_S)

    async def close(self) -> None:
        """End what was started for the page."""
        await self._explanations.close()
