"""Which version answers a request that names none: pins, canaries and shadow copies, from one file.

    models:
      classifier:
        pin: 3-int8                                  # else the store's current release in its default variant
        canary: {by: x-user, weights: {4-int8: 0.05}}
        shadow: {to: 4-int8, share: 0.05, promote: true}

The file is valid as a whole or not used at all.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from model_store.manifest import NAME_PATTERN
from services.catalogue import ServedVariant
from services.gateway.tensors import InferRequest

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Version = Annotated[str, StringConstraints(pattern=r"^[1-9]\d*-[a-z][a-z0-9_-]{0,62}$")]
Share = Annotated[float, Field(gt=0, le=1)]


class RoutingError(ValueError):
    """The routing file cannot be used; says where and why."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Canary(_Part):
    """Other versions for a share of the callers, or of the requests where these do not say who calls."""

    by: Annotated[str, StringConstraints(to_lower=True)] = Field(
        "", description="header (gRPC: metadata) that names a caller, who then stays with one version"
    )
    weights: dict[Version, Share] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Canary:
        if sum(self.weights.values()) > 1:
            raise ValueError(f"the weights sum to {sum(self.weights.values()):g}, more than 1")
        return self


class Shadow(_Part):
    """A candidate that is asked for what others have answered; its answers are compared and thrown away."""

    to: Version
    share: Share = Field(description="of the answered requests")
    promote: bool = Field(False, description="let it take over at pass, and drop it at fail")
    margin: float | None = Field(None, gt=0, lt=1, description="instead of the manifest's; see live_gate.py")


class ModelRouting(_Part):
    pin: Version | None = None
    canary: Canary | None = None
    shadow: Shadow | None = None

    @property
    def versions(self) -> set[str]:
        """All versions that are named."""
        return self.candidates | ({self.pin} if self.pin else set())

    @property
    def candidates(self) -> set[str]:
        """The versions that are tried out."""
        canaries = set(self.canary.weights) if self.canary else set()
        return canaries | ({self.shadow.to} if self.shadow else set())

    def has_canary(self, version: str) -> bool:
        """Say whether a version answers a share of the callers."""
        return self.canary is not None and version in self.canary.weights

    @model_validator(mode="after")
    def _check(self) -> ModelRouting:
        if self.pin is not None and self.pin in self.candidates:
            raise ValueError(f"{self.pin} is pinned, and a canary or shadow besides; it can be one of them")
        return self


class Routing(_Part):
    """The whole file."""

    models: dict[Name, ModelRouting] = {}

    def of(self, model: str) -> ModelRouting:
        return self.models.get(model, _NOTHING)


_NOTHING = ModelRouting()


def read_routing(path: Path) -> Routing:
    """Read and check a routing file; an empty one routes nothing.

    Raises:
        RoutingError: names each place that is wrong.
    """
    try:
        content: Any = yaml.safe_load(path.read_text())
        return Routing.model_validate(content if content is not None else {})
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise RoutingError(f"{path}: {places}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RoutingError(f"{path}: {error}") from None


class Router:
    """Choose versions by the canaries' weights; a canary that cannot answer now is given nothing."""

    def __init__(self, canaries: Mapping[str, tuple[Canary, Mapping[str, ServedVariant]]]) -> None:
        """For each model its canary and the variants, by version, that are loaded for it."""
        self._canaries = canaries

    def choose(self, request: InferRequest, is_ready: Callable[[ServedVariant], bool]) -> ServedVariant | None:
        """Choose a canary for a request that names no version; None: it is not for a canary."""
        found = self._canaries.get(request.model)
        if found is None:
            return None
        canary, variants = found
        place = _place(request, canary.by)
        for version, weight in canary.weights.items():
            if place < weight:
                variant = variants.get(version)
                return variant if variant is not None and is_ready(variant) else None
            place -= weight
        return None


def _place(request: InferRequest, by: str) -> float:
    """A request's place between 0 and 1: always the same for one caller, evenly spread over callers."""
    key = request.caller.metadata.get(by) if by else None
    if key is None:
        return random.random()
    digest = hashlib.blake2b(f"{request.model}\n{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
