"""What the leading gateway process says of all: metrics, statistics and refusals, added up."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from model_store.live_gate import GateProgress
from services.catalogue import ServedVariant
from services.gateway.core import Gateway
from services.gateway.metrics import Families, take_turns
from services.gateway.model_control import ModelControl
from services.gateway.recent_errors import MAX_ERRORS, RecentError
from services.gateways.adding import add_families, add_statistics, count_requests, keep_counts
from services.gateways.processes import Followers

_LEADER = 0


class Whole:
    """The leader's peers, see gateway/peers.py, and what it answers those that follow."""

    def __init__(
        self, gateway: Gateway, followers: Followers, read_samples: Callable[[int], list[dict[str, Any]]]
    ) -> None:
        """`read_samples` gives the console's samples newer than a number."""
        self._gateway, self._followers, self._read_samples = gateway, followers, read_samples
        self._last: dict[int, Families] = {}
        self._gone: dict[int, Families] = {}

    async def collect(self) -> Families:
        """Collect the metrics of all processes, added up, and those of each.

        What a killed process has counted since this was last asked is lost; the console asks every few seconds.
        """
        own = await self._gateway.metrics.collect()
        self._last |= await self._followers.ask_all("metrics")
        versions = self._gateway.versions()
        self._gone = {number: keep_counts(counts, versions) for number, counts in self._gone.items()}
        added = add_families([own, *self._last.values(), *self._gone.values()])
        return [*[family async for family in take_turns(added)], *self._describe_each(own)]

    def note_gone(self, number: int) -> None:
        """Keep what a process has counted that has ended."""
        last = self._last.pop(number, [])
        kept = keep_counts(last, self._gateway.versions())
        self._gone[number] = list(add_families([self._gone.get(number, []), kept]))

    async def list_statistics(self, name: str, version: str) -> list[dict[str, Any]]:
        own = self._gateway.list_statistics(name, version)
        return add_statistics([own, *(await self._followers.ask_all("statistics", name, version)).values()])

    async def list_errors(self) -> list[RecentError]:
        lists = [list(self._gateway.journal.recent_errors), *(await self._followers.ask_all("errors")).values()]
        return list(heapq.merge(*lists, key=lambda error: error.time_s, reverse=True))[:MAX_ERRORS]

    async def list_samples(self, after: int) -> list[dict[str, Any]]:
        return self._read_samples(after)

    async def report_gates(self) -> list[GateProgress]:
        return self._gateway.report_own_gates()

    async def drain(self, variant: ServedVariant, timeout_s: float) -> None:
        await self._followers.drain(variant, timeout_s)

    async def answer(self, word: str, *arguments: Any) -> Any:
        """Answer a follower for all, or do what its caller wants.

        Raises:
            GatewayError: as the caller is to be told.
        """
        answers: dict[str, Callable[..., Any]] = {
            "statistics": self.list_statistics,
            "errors": self.list_errors,
            "samples": self.list_samples,
            "gates": self.report_gates,
            "load": self._gateway.control.load,
            "unload": self._gateway.control.unload,
        }
        return await answers[word](*arguments)

    def _describe_each(self, own: Iterable[Metric]) -> Families:
        labels = ("gateway",)
        up = GaugeMetricFamily("millrace_gateway_up", "1 while a gateway process answers; 0 leads", labels=labels)
        requests = CounterMetricFamily(
            "millrace_gateway_requests", "Inference requests by the process that took them", labels=labels
        )
        restarts = CounterMetricFamily("millrace_gateway_restarts", "Gateway processes started again", labels=labels)
        up.add_metric((str(_LEADER),), 1)
        requests.add_metric((str(_LEADER),), count_requests(own))
        for number, count in self._followers.restarts.items():
            name, last = (str(number),), self._last.get(number)
            up.add_metric(name, last is not None)
            requests.add_metric(name, count_requests([*(last or ()), *self._gone.get(number, ())]))
            restarts.add_metric(name, count)
        return [up, requests, restarts]


class WholeControl:
    """Loads and unloads models for callers of all processes; see gateway/model_control.py."""

    def __init__(self, control: ModelControl, followers: Followers) -> None:
        self._control, self._followers = control, followers

    async def load(self, model: str) -> None:
        await self._control.load(model)
        await self._followers.spread()

    async def unload(self, model: str) -> None:
        await self._control.unload(model)
        await self._followers.spread()
