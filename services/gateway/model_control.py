"""Load and unload models by request, as Triton's clients ask for it; off unless the server allows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from services.gateway.errors import InvalidRequestError, PermissionDeniedError

# Triton's own; nothing here depends on another model.
_IGNORED: Final = frozenset(("unload_dependents",))


class ModelControl(Protocol):
    """What decides which models are served."""

    async def load(self, model: str) -> None:
        """Serve a model's current release; return when it answers.

        Raises:
            UnknownModelError: the store has no such model.
            NotReadyError: its release may not serve; says why.
        """

    async def unload(self, model: str) -> None:
        """Serve a model no more; return when callers do not find it.

        Raises:
            UnknownModelError: it is not served.
        """


class NoModelControl:
    """Takes its place where it is not allowed."""

    async def load(self, model: str) -> None:
        self._refuse()

    async def unload(self, model: str) -> None:
        self._refuse()

    def _refuse(self) -> None:
        raise PermissionDeniedError(
            "which models are served is not for callers to say; have the server started with MILLRACE_MODEL_CONTROL=1"
        )


def check_parameters(names: Iterable[str]) -> None:
    """Refuse what a release cannot take from a caller.

    Raises:
        InvalidRequestError: names it.
    """
    unknown = sorted(set(names) - _IGNORED)
    if unknown:
        raise InvalidRequestError(
            f"a model is served as it was released and signed: it takes no {', '.join(unknown)}; release it with what "
            "you want"
        )
