"""Models that come and go while TorchServe serves others, by its management interface."""

from __future__ import annotations

import json

import structlog

from services.catalogue import ServedVariant
from services.torchserve.command import StartError
from services.torchserve.http_client import HttpAnswer, HttpClient
from services.torchserve.settings import TorchServeSettings

logger = structlog.get_logger("torchserve")

UNREGISTER_S = 60.0


async def register(management: HttpClient, folder_name: str, settings: TorchServeSettings) -> None:
    """Register an unpacked model; its workers start after this has returned.

    Raises:
        StartError: TorchServe refuses it.
        ConnectionError, TimeoutError: TorchServe is not there.
    """
    query = f"url={folder_name}&initial_workers={settings.workers}&synchronous=false"
    answer = await management.request("POST", f"/models?{query}", timeout_s=settings.startup_timeout_s)
    if answer.status not in (200, 202):
        raise StartError(f"TorchServe refused {folder_name}: {_describe(answer)}")


async def unregister(management: HttpClient, variant: ServedVariant) -> None:
    """End a variant's workers; one that is not registered is what was wanted.

    TorchServe refuses (403) to unregister its default of several versions, so another one becomes that first.
    """
    path = f"/models/{variant.model}/{variant.version}"
    try:
        answer = await management.request("DELETE", path, timeout_s=UNREGISTER_S)
        if answer.status == 403:
            listed = await management.request("GET", f"/models/{variant.model}/all")
            versions = [one["modelVersion"] for one in json.loads(listed.body)]
            other = next(version for version in versions if version != variant.version)
            await management.request("PUT", f"/models/{variant.model}/{other}/set-default")
            answer = await management.request("DELETE", path, timeout_s=UNREGISTER_S)
    except OSError as error:  # it ended, and the variant with it
        logger.warning("could not unregister", variant=str(variant), why=str(error))
        return
    if answer.status not in (200, 404):
        logger.error("TorchServe did not unregister", variant=str(variant), why=_describe(answer))


def _describe(answer: HttpAnswer) -> str:
    return f"{answer.status}: {answer.body.decode(errors='replace')[:500]}"
