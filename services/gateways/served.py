"""What the leading gateway process tells those that follow: all of what is served, each time anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.catalogue import Catalogue
from services.gateway.core import Gateway
from services.gateway.readiness import Proven
from services.gateway.routing import Router
from services.gateway.settings import GatewaySettings
from services.torchserve.calls import EngineAddress
from services.torchserve.server import TorchServe


@dataclass(frozen=True)
class Served:
    """What callers find, what is known of its readiness, and where the engine answers; workers are process ids."""

    catalogue: Catalogue
    router: Router | None
    refused: Mapping[tuple[str, str], str]
    proven: Proven
    engine: EngineAddress | None
    workers: Mapping[str, frozenset[int]]
    is_draining: bool


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a process that follows has to know at its start; `settings` name the ports that are really used."""

    number: int
    settings: GatewaySettings
    num_workers: int
    slots_per_worker: int
    response_timeout_s: float
    store: Path
    turn: int
    served: Served


def describe_served(gateway: Gateway, engine: TorchServe) -> Served:
    """Describe what is served now."""
    catalogue = gateway.catalogue
    return Served(
        catalogue,
        gateway.router,
        dict(gateway.refused),
        gateway.readiness.describe(),
        engine.address,
        {str(variant): engine.ready_workers(variant) for variant in catalogue.variants},
        gateway.is_draining,
    )
