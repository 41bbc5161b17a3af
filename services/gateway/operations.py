"""Which verb each method and path takes. What is not named here takes `admin`: nothing is open by being forgotten."""

from __future__ import annotations

from typing import Final

from model_store.open_inference import SERVICE
from services.gateway.access import Operation
from services.gateway.grpc_health import HEALTH
from services.gateway.grpc_reflection import REFLECTION
from services.gateway.keys import Verb

# Open to everybody: probes carry no key and learn yes or no, the documentation tells nothing of what is served.
_OPEN_GRPC: Final = frozenset(
    (
        *(f"/{SERVICE}/{name}" for name in ("ServerLive", "ServerReady", "ModelReady")),
        *(f"/{HEALTH}/{name}" for name in ("Check", "Watch")),
    )
)
_OPEN_HTTP: Final = ("/v2/health/live", "/v2/health/ready", "/v2/health/edge", "/docs", "/openapi.json")
_OPEN_FOLDER: Final = "/docs/assets/"

_READ_METHODS = ("ServerMetadata", "ModelMetadata", "RepositoryIndex", "ModelConfig", "ModelStatistics")
_VERBS_GRPC: Final[dict[str, Verb]] = {
    **{f"/{SERVICE}/{name}": Verb.READ for name in _READ_METHODS},
    **{f"/{name}/ServerReflectionInfo": Verb.READ for name in REFLECTION},
    **{f"/{SERVICE}/{name}": Verb.INFER for name in ("ModelInfer", "ModelStreamInfer")},
}
_OPERATIONS_GRPC: Final = {path: Operation(verb, "", path) for path, verb in _VERBS_GRPC.items()}
_INFER_ENDS: Final = ("infer", "explain", "generate", "generate_stream")


def operation_of_grpc(path: str) -> Operation | None:
    """What a call of a method is, its model still unknown; None where everybody may."""
    if path in _OPEN_GRPC:
        return None
    return _OPERATIONS_GRPC.get(path) or Operation(Verb.ADMIN, "", path)


def operation_of_http(method: str, path: str) -> Operation | None:
    """What a request is; None where everybody may."""
    if path in _OPEN_HTTP or path.startswith(_OPEN_FOLDER):
        return None
    is_reading = method in ("GET", "HEAD")
    match path.strip("/").split("/"):
        case ["v2", "models", _, "ready"] | ["v2", "models", _, "versions", _, "ready"] if is_reading:
            return None
        case ["v2", "models", model, *rest]:
            is_inference = method == "POST" and bool(rest) and rest[-1] in _INFER_ENDS
            verb = Verb.READ if is_reading else Verb.INFER if is_inference else Verb.ADMIN
            return Operation(verb, model, path)
        case ["v2", "repository", "models", model, *_]:
            return Operation(Verb.ADMIN, model, path)
        case ["v1", model] | ["v1", model, _]:
            return Operation(Verb.READ if is_reading else Verb.INFER, model, path)
        case ["api", "models" | "releases", model, *_] if is_reading:
            return Operation(Verb.READ, model, path)
        case ["api", "releases", model, "rollback"] | ["api", "releases", model, _, "restore"]:
            return Operation(Verb.ADMIN, model, path)
        case ["api", "routing", model]:
            return Operation(Verb.READ if is_reading else Verb.ADMIN, model, path)
        case ["api", *_] if is_reading:
            return Operation(Verb.READ, "", path)
        case [""] | ["v2"] | ["v2", "repository", "index" | "gates"]:
            return Operation(Verb.READ, "", path)
        case _:
            return Operation(Verb.ADMIN, "", path)
