"""Precision as a valve: before a request is refused for overload, a faster variant of the same release may answer it.

Only where the caller says so or the operator does, never for one who named the variant, and only by variants that
passed the gate, whose answers are as good within its margin. For a while all who may then go there: variants share a
machine, and with both at work half as much was answered in time as by the slower one alone (two cores).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from services.catalogue import ServedVariant
from services.gateway.errors import OverloadedError
from services.gateway.metrics import ModelMetrics
from services.gateway.tensors import InferRequest

HEADER = "x-variant"
ANY = "any"
# How long the faster ones take over; each time after it the slower one fills its queue again.
RELIEF_S = 2.0


class Served(Protocol):
    """A served version, as far as the valve needs it."""

    relieved_until_s: float

    @property
    def variant(self) -> ServedVariant: ...
    @property
    def metrics(self) -> ModelMetrics: ...


Model = TypeVar("Model", bound=Served)


class Valve(Generic[Model]):
    """Finds who answers a request in time."""

    def __init__(self, list_ready: Callable[[], Iterable[Model]], *, is_open_for_all: bool) -> None:
        """`list_ready` lists the versions that can answer."""
        self._list_ready = list_ready
        self._is_open_for_all = is_open_for_all

    def admit(self, model: Model, request: InferRequest, check: Callable[[Model], None], arrived_s: float) -> Model:
        """Find who answers a valid request in time: the version that it means, or a faster one if it may.

        `check` raises OverloadedError where a version would be late.

        Raises:
            OverloadedError: nobody.
        """
        if arrived_s < model.relieved_until_s and (faster := self._list_relief(model, request)):
            return _relieve(model, faster, check)
        try:
            check(model)
        except OverloadedError:
            faster = self._list_relief(model, request)
            if not faster:
                raise
            model.relieved_until_s = arrived_s + RELIEF_S
            return _relieve(model, faster, check)
        return model

    def _list_relief(self, model: Model, request: InferRequest) -> list[Model]:
        """List what may answer a request instead of a version, the slowest first."""
        if request.version == model.variant.version:
            return []
        if request.any_variant or self._is_open_for_all or request.caller.header(HEADER) == ANY:
            faster = [other for other in self._list_ready() if is_faster(other.variant, model.variant)]
            return sorted(faster, key=lambda other: other.variant.manifest.speed.rows_per_s)
        return []


def is_faster(variant: ServedVariant, other: ServedVariant) -> bool:
    """Say whether a variant may stand in for another: of its release, passed, and faster when they were released."""
    manifest, than = variant.manifest, other.manifest
    return (
        (manifest.model, manifest.release) == (than.model, than.release)
        and manifest.gate.passed
        and manifest.max_rows >= than.max_rows
        and manifest.speed.rows_per_s > than.speed.rows_per_s
    )


def _relieve(model: Model, faster: list[Model], check: Callable[[Model], None]) -> Model:
    *first, last = faster
    for other in first:
        with contextlib.suppress(OverloadedError):
            check(other)
            break
    else:
        other = last
        check(other)
    model.metrics.count_redirected(other.variant.version)
    return other
