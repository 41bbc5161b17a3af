"""The typed Python client: `Client` and `AsyncClient`, what they return and what they raise."""

from services.client.classification import Classification, Score
from services.client.client import AsyncClient, Client
from services.client.errors import (
    BadRequestError,
    ClientError,
    DeadlineError,
    NotReadyError,
    OverloadedError,
    ServerError,
    UnknownModelError,
)
from services.client.inference import ModelMetadata, TensorMetadata

__all__ = [
    "AsyncClient",
    "BadRequestError",
    "Classification",
    "Client",
    "ClientError",
    "DeadlineError",
    "ModelMetadata",
    "NotReadyError",
    "OverloadedError",
    "Score",
    "ServerError",
    "TensorMetadata",
    "UnknownModelError",
]
