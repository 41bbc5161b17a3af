"""The typed Python client: `Client` and `AsyncClient`, what they return and what they raise."""

from services.client.classification import Classification, Score
from services.client.client import AsyncClient, Client
from services.client.errors import (
    AccessError,
    BadRequestError,
    ClientError,
    DeadlineError,
    NotReadyError,
    OverloadedError,
    ServerError,
    UnknownModelError,
)
from services.client.inference import ModelMetadata, TensorMetadata
from services.client.tls import Tls
from services.client.translation import Alignment, Hypothesis, Translation, TranslationBit

__all__ = [
    "AccessError",
    "Alignment",
    "AsyncClient",
    "BadRequestError",
    "Classification",
    "Client",
    "ClientError",
    "DeadlineError",
    "Hypothesis",
    "ModelMetadata",
    "NotReadyError",
    "OverloadedError",
    "Score",
    "ServerError",
    "TensorMetadata",
    "Tls",
    "Translation",
    "TranslationBit",
    "UnknownModelError",
]
