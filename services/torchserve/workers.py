"""The worker processes behind each variant, as TorchServe describes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from time import monotonic

from services.catalogue import ServedVariant
from services.torchserve.http_client import HttpClient


class Workers:
    """Which worker processes have loaded each variant; `on_change` is called when that changes."""

    def __init__(self, variants: Iterable[ServedVariant], on_change: Callable[[], None]) -> None:
        self._variants = {str(variant): variant for variant in variants}
        self._on_change = on_change
        self._ready: dict[str, frozenset[int]] = {}
        self._launched_s: dict[str, float] = {}
        self._load_s: dict[str, float] = {}

    def ready(self, variant: ServedVariant) -> frozenset[int]:
        """The process ids of the workers that had loaded a variant when last looked at."""
        return self._ready.get(str(variant), frozenset())

    def expect(self) -> None:
        """Count the time of loading from now."""
        self._launched_s = dict.fromkeys(self._variants, monotonic())
        self._load_s.clear()

    def add(self, variant: ServedVariant) -> None:
        """Look for one more variant's workers, and count the time of its loading from now."""
        self._variants[str(variant)] = variant
        self._launched_s[str(variant)] = monotonic()

    def remove(self, variant: ServedVariant) -> None:
        """Look for a variant's workers no more."""
        for known in (self._variants, self._launched_s, self._load_s):
            known.pop(str(variant), None)
        self._set({name: workers for name, workers in self._ready.items() if name != str(variant)})

    def load_s(self, variant: ServedVariant) -> float | None:
        """How long a variant's first worker took from its launch, in seconds; None while there is none."""
        return self._load_s.get(str(variant))

    async def look(self, management: HttpClient) -> int:
        """Ask TorchServe for all variants and return how many workers are ready; one that does not answer has none."""
        found = {name: await _list_ready_workers(management, variant) for name, variant in [*self._variants.items()]}
        found = {name: workers for name, workers in found.items() if name in self._variants}  # removed meanwhile
        self._set(found)
        return sum(map(len, found.values()))

    def lose(self, worker: int) -> None:
        """Know a worker that has ended as ready no more; TorchServe may notice later."""
        self._set({name: workers - {worker} for name, workers in self._ready.items()})

    def forget(self) -> None:
        """Know of no worker any more: TorchServe has ended."""
        self._set({})

    def _set(self, found: dict[str, frozenset[int]]) -> None:
        for name, workers in found.items():
            if workers:
                self._load_s.setdefault(name, monotonic() - self._launched_s[name])
        if found != self._ready:
            self._ready = found
            self._on_change()


async def _list_ready_workers(management: HttpClient, variant: ServedVariant) -> frozenset[int]:
    try:
        answer = await management.request("GET", f"/models/{variant.model}/{variant.version}")
    except OSError:
        return frozenset()
    if answer.status != 200:
        return frozenset()
    (description,) = json.loads(answer.body)
    return frozenset(worker["pid"] for worker in description["workers"] if worker["status"] == "READY")
