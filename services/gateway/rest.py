"""Open Inference Protocol over REST, and the short way for people: `curl -T shoe.png localhost:8000/v1/classifier`."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import make_asgi_app
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from model_store.example_call import describe_call, example_body
from model_store.store import read_examples
from services.catalogue import ServedVariant
from services.gateway.body_limit import BodyLimit
from services.gateway.core import EXTENSIONS, NAME, PLATFORM, Gateway
from services.gateway.errors import GatewayError, InvalidRequestError, UnknownModelError, status_of
from services.gateway.readable import build_file_request, describe_answer
from services.gateway.request_ids import RequestIds
from services.gateway.rest_messages import HEADER_LENGTH, decode_body, encode_answer_body

_OIP_EXAMPLE = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 1.5]}],
    "outputs": [{"name": "y"}],
}


def make_metrics_app(gateway: Gateway) -> ASGIApp:
    """Make the Prometheus endpoint."""
    app: ASGIApp = make_asgi_app(registry=gateway.metrics.registry)
    return app


def make_app(gateway: Gateway) -> ASGIApp:
    """Make the REST application."""
    app = FastAPI(title="Millrace", version=metadata.version(NAME), summary="Open Inference Protocol and the short way")
    _add_errors(app)
    _add_server_routes(app, gateway)
    _add_model_routes(app, gateway)
    _add_infer_routes(app, gateway)
    return RequestIds(BodyLimit(app, gateway.settings.max_body_bytes), gateway.new_request_id)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def answer_http_error(request: Request, error: HTTPException) -> Response:
        text = f"{request.method} {request.url.path}: {error.detail}; GET / lists what there is"
        return JSONResponse({"error": text}, error.status_code)

    @app.exception_handler(GatewayError)
    async def answer_error(request: Request, error: GatewayError) -> Response:
        return JSONResponse({"error": str(error), "request": request.state.id}, status_of(error).http)


def _add_server_routes(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/", summary="What this server offers")
    async def index(request: Request) -> dict[str, Any]:
        return {
            "name": NAME,
            "version": metadata.version(NAME),
            "models": [_describe_model(gateway, name, request) for name in gateway.catalogue.models],
            "documentation": str(request.url_for("swagger_ui_html")),
        }

    @app.get("/v2", summary="Server metadata")
    async def server_metadata() -> dict[str, Any]:
        return {"name": NAME, "version": metadata.version(NAME), "extensions": EXTENSIONS}

    @app.get("/v2/health/live", summary="Is the process alive?")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/v2/health/ready", summary="Do all models answer?")
    async def ready() -> Response:
        is_ready = gateway.is_ready()
        return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)

    @app.post("/v2/repository/index", summary="All models and versions with their states")
    async def repository_index() -> list[dict[str, str]]:
        rows = []
        for variant in gateway.catalogue.variants:
            state, reason = gateway.state_of(variant)
            rows.append({"name": variant.model, "version": variant.version, "state": state, "reason": reason})
        return rows


def _describe_model(gateway: Gateway, name: str, request: Request) -> dict[str, Any]:
    variant = gateway.find_variant(name)
    return {
        "name": name,
        "description": variant.manifest.description,
        "versions": gateway.catalogue.versions(name),
        "ready": gateway.is_model_ready(variant),
        "metadata": f"{request.base_url}v2/models/{name}",
        "try": describe_call(variant.manifest, read_examples(variant.examples), rest=request.url.netloc).lines,
    }


def _add_model_routes(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/v2/models/{model}", summary="Inputs and outputs of a model")
    @app.get("/v2/models/{model}/versions/{version}", summary="Inputs and outputs of a model version")
    async def model_metadata(model: str, version: str = "") -> dict[str, Any]:
        variant = gateway.find_variant(model, version)
        manifest = variant.manifest
        return {
            "name": variant.model,
            "versions": gateway.catalogue.versions(variant.model),
            "platform": PLATFORM,
            "properties": manifest.properties,
            "inputs": [tensor.model_dump(include={"name", "datatype", "shape"}) for tensor in manifest.inputs],
            "outputs": [tensor.model_dump(include={"name", "datatype", "shape"}) for tensor in manifest.outputs],
        }

    @app.get("/v2/models/{model}/ready", summary="Does the model answer?")
    @app.get("/v2/models/{model}/versions/{version}/ready", summary="Does the model version answer?")
    async def model_ready(model: str, version: str = "") -> Response:
        variant = gateway.find_variant(model, version)
        is_ready = gateway.is_model_ready(variant)
        body = {"name": variant.model, "version": variant.version, "ready": is_ready}
        return JSONResponse(body, 200 if is_ready else 503)


def _add_infer_routes(app: FastAPI, gateway: Gateway) -> None:
    json_body = {"requestBody": {"required": True, "content": {"application/json": {"example": _OIP_EXAMPLE}}}}
    file_body = {"requestBody": {"required": True, "content": {"application/octet-stream": {}}}}

    @app.post(
        "/v2/models/{model}/infer", summary="Infer, as the Open Inference Protocol has it", openapi_extra=json_body
    )
    @app.post("/v2/models/{model}/versions/{version}/infer", summary="Infer with a version", openapi_extra=json_body)
    async def infer(request: Request, model: str, version: str = "") -> Response:
        if request.headers.get("content-encoding", "identity") != "identity":
            raise InvalidRequestError("compressed bodies are not taken; send it without Content-Encoding")
        body = await request.body()
        decoded, encoding = decode_body(body, request.headers.get(HEADER_LENGTH), model, version)
        request.state.id = decoded.id = decoded.id or request.state.id
        content, header_length = encode_answer_body(await gateway.infer(decoded), encoding)
        if header_length is None:
            return Response(content, media_type="application/json")
        return Response(content, headers={HEADER_LENGTH: str(header_length)}, media_type="application/octet-stream")

    @app.api_route(
        "/v1/{model}", methods=["PUT", "POST"], summary="Send a file, get an answer", openapi_extra=file_body
    )
    @app.api_route(
        "/v1/{model}/{version}", methods=["PUT", "POST"], summary="The same with a version", openapi_extra=file_body
    )
    async def infer_file(request: Request, model: str, version: str = "") -> dict[str, Any]:
        variant: ServedVariant = gateway.find_variant(model, version)
        decoded = build_file_request(variant, await request.body(), dict(request.query_params), request.state.id)
        return describe_answer(await gateway.infer(decoded), variant.manifest)

    @app.get("/v1/{model}/example", summary="A row of the model's own to send")
    async def example(model: str) -> Response:
        variant = gateway.find_variant(model)
        body = example_body(variant.manifest, read_examples(variant.examples))
        if body is None:
            raise UnknownModelError(
                f"model {model} has no example that can be sent; GET /v2/models/{model} has its inputs"
            )
        return Response(body.content, media_type=body.media_type)
