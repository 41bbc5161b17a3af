"""Open Inference Protocol over REST, and the short way for people: `curl -T a.png localhost:8000/v1/classifier`."""

from __future__ import annotations

import json
from http import HTTPStatus
from importlib import metadata
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import ASGIApp

from model_store.example_call import describe_call, example_body
from model_store.examples import read_examples
from model_store.interface import Tensor
from model_store.settings import DEFAULT_GRPC_PORT
from services.console import Console
from services.console.page import Page
from services.gateway.body_limit import BodyLimit
from services.gateway.caller import may_see
from services.gateway.core import EXTENSIONS, NAME, Gateway
from services.gateway.departure import answer_while_present
from services.gateway.errors import (
    SERVER_FAILED,
    GatewayError,
    InternalError,
    InvalidRequestError,
    UnknownModelError,
    UnknownPathError,
    UnsupportedEncodingError,
)
from services.gateway.load_reports import LoadHeaders
from services.gateway.model_config import PLATFORM
from services.gateway.model_control import check_parameters
from services.gateway.openapi import ERRORS, EXAMPLES, FORM, INFER_BODY, OIP_EXAMPLE, PROBES, ROWS_EXAMPLE
from services.gateway.plain_requests import build_plain_request, read_plain_body
from services.gateway.provenance import make_headers
from services.gateway.readable import describe_answer, describe_rows
from services.gateway.request_ids import RequestIds
from services.gateway.rest_answers import make_answer_response
from services.gateway.rest_calls import note_caller, route
from services.gateway.rest_errors import make_error_response
from services.gateway.rest_generate import add_generate_routes
from services.gateway.rest_messages import HEADER_LENGTH, decode_body, decode_json
from services.gateway.rest_refusals import recording_refusals
from services.gateway.rest_screen import EdgeNames, RestScreen, describe_caller

_INDEX = ("name", "version", "state", "reason")


def make_app(gateway: Gateway, console: Console | None = None, *, grpc_port: int = DEFAULT_GRPC_PORT) -> ASGIApp:
    """Make the REST application, with the page for browsers if there is a console; `/` names gRPC's port."""
    app = FastAPI(
        title="Millrace",
        version=metadata.version(NAME),
        summary="Open Inference Protocol and the short way",
        docs_url=None,
        redoc_url=None,
        responses=ERRORS,
    )
    _add_errors(app)
    _add_documentation(app)
    _add_server_routes(app, gateway, grpc_port)
    _add_model_routes(app, gateway)
    _add_infer_routes(app, gateway)
    add_generate_routes(app, gateway)
    _add_short_way(app, gateway)
    if console is not None:
        console.add_routes(app, grpc_port)
    screened: ASGIApp = app if gateway.guard is None else RestScreen(app, gateway, gateway.guard)
    if console is not None:
        screened = Page(screened)
    if gateway.edges is not None:
        screened = EdgeNames(screened, gateway.edges)
    inner: ASGIApp = BodyLimit(screened, gateway.settings.max_body_bytes)
    if gateway.load_reports is not None:
        inner = LoadHeaders(inner, gateway.load_reports)
    return RequestIds(inner, gateway.new_request_id)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def answer_http_error(request: Request, error: HTTPException) -> Response:
        text = f"{request.method} {request.url.path}: {error.detail}; GET / lists what there is"
        response = make_error_response(UnknownPathError(text), request.state.id, error.status_code)
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            response.headers["allow"] = ", ".join(_list_methods(app, request))
        return response

    @app.exception_handler(Exception)
    async def answer_broken(request: Request, error: Exception) -> Response:
        """Answer in the form of all failures; the exception goes on to the log."""
        return make_error_response(InternalError(SERVER_FAILED), request.state.id)

    @app.exception_handler(RequestValidationError)
    async def answer_invalid(request: Request, error: RequestValidationError) -> Response:
        """Parts of paths and queries that are of another type than the route takes."""
        found = "; ".join(
            f"{'.'.join(map(str, one['loc']))} is {one['input']!r}: {one['msg']}" for one in error.errors()
        )
        return make_error_response(InvalidRequestError(f"{found}; GET /docs says what is taken"), request.state.id)

    @app.exception_handler(GatewayError)
    async def answer_error(request: Request, error: GatewayError) -> Response:
        return make_error_response(error, request.state.id)


def _list_methods(app: FastAPI, request: Request) -> list[str]:
    """List the methods of the path that a request names; each may be a route of its own."""
    routes = [route for route in app.router.routes if isinstance(route, Route)]
    path = next((route.path for route in routes if route.matches(request.scope)[0] != Match.NONE), "")
    return sorted({method for route in routes if route.path == path for method in route.methods or ()})


def _add_documentation(app: FastAPI) -> None:
    """Serve Swagger UI from installed files: FastAPI's own page loads it from the internet, and is blank without it."""
    app.mount("/docs/assets", StaticFiles(packages=[("fastapi_swagger", "resources")]), name="assets")

    @app.get("/docs", include_in_schema=False)
    async def documentation() -> Response:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title="Millrace",
            swagger_js_url="docs/assets/swagger-ui-bundle.js",
            swagger_css_url="docs/assets/swagger-ui.css",
            swagger_favicon_url="docs/assets/favicon-32x32.png",
        )


def _add_server_routes(app: FastAPI, gateway: Gateway, grpc_port: int) -> None:
    @app.get("/", summary="What this server offers; browsers, which ask for HTML, get a page")
    async def index(request: Request) -> Response:
        offer = {
            "name": NAME,
            "version": metadata.version(NAME),
            "models": [
                _describe_model(gateway, name, request, grpc_port)
                for name in gateway.catalogue.models
                if may_see(describe_caller(request), name)
            ],
            "documentation": str(request.url_for("documentation")),
        }
        return JSONResponse(offer, headers={"vary": "accept"})

    @app.get("/v2", summary="Server metadata")
    async def server_metadata() -> dict[str, Any]:
        return {"name": NAME, "version": metadata.version(NAME), "extensions": EXTENSIONS}

    @app.get("/v2/health/live", summary="Is the process alive?")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/v2/health/ready", summary="Do all models answer?", responses=PROBES)
    async def ready() -> Response:
        is_ready = gateway.is_ready()
        return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)

    @app.get("/v2/health/edge", summary="Should an edge send calls here rather than elsewhere?", responses=PROBES)
    async def edge() -> Response:
        wants_calls = gateway.wants_calls()
        return JSONResponse({"wants_calls": wants_calls}, 200 if wants_calls else 503)

    @app.post("/v2/repository/index", summary="All models and versions with their states")
    async def repository_index(request: Request) -> list[dict[str, str]]:
        caller = describe_caller(request)
        states = gateway.list_states()
        return [dict(zip(_INDEX, row, strict=True)) for row in states if may_see(caller, row[0])]

    @app.get("/v2/repository/gates", summary="What is known of candidates that get copies of answered requests")
    async def live_gates(request: Request) -> list[dict[str, Any]]:
        caller = describe_caller(request)
        return [one.model_dump() for one in await gateway.report_gates() if may_see(caller, one.model)]

    @app.post("/v2/repository/models/{model}/load", summary="Serve a model's current release, where that is allowed")
    async def load_model(request: Request, model: str) -> Response:
        check_parameters(_read_parameter_names(await request.body()))
        await gateway.control.load(model)
        return Response()

    @app.post("/v2/repository/models/{model}/unload", summary="Serve a model no more, where that is allowed")
    async def unload_model(request: Request, model: str) -> Response:
        check_parameters(_read_parameter_names(await request.body()))
        await gateway.control.unload(model)
        return Response()


def _read_parameter_names(body: bytes) -> list[str]:
    content = decode_json(body) if body else {}
    parameters = content.get("parameters", {}) if isinstance(content, dict) else None
    if not isinstance(parameters, dict):
        raise InvalidRequestError('the body must be empty, or a JSON object as {"parameters": {…}}')
    return list(parameters)


def _describe_model(gateway: Gateway, name: str, request: Request, grpc_port: int) -> dict[str, Any]:
    variant = gateway.find_variant(name)
    by_tls = "https://" if request.url.scheme == "https" else ""
    return {
        "name": name,
        "description": variant.manifest.description,
        "versions": gateway.catalogue.versions(name),
        "ready": gateway.is_model_ready(variant),
        "metadata": f"{request.base_url}v2/models/{name}",
        "try": describe_call(
            variant.manifest,
            read_examples(variant.examples),
            rest=f"{by_tls}{request.url.netloc}",
            grpc=f"{by_tls}{request.url.hostname}:{grpc_port}",
        ).lines,
    }


def _add_model_routes(app: FastAPI, gateway: Gateway) -> None:
    # Before the routes with a name in its place.
    @app.get("/v2/models/stats", summary="What all models have answered")
    @app.get("/v2/models/{model}/stats", summary="What a model has answered")
    @app.get("/v2/models/{model}/versions/{version}/stats", summary="What a model version has answered")
    async def model_statistics(model: str = "", version: str = "") -> dict[str, Any]:
        return await gateway.describe_statistics(model, version)

    @app.get("/v2/models/{model}/config", summary="Configuration of a model, as Triton has it")
    @app.get("/v2/models/{model}/versions/{version}/config", summary="Configuration of a model version")
    async def model_config(model: str, version: str = "") -> dict[str, Any]:
        return gateway.describe_config(model, version)

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
            "inputs": [_describe_tensor(tensor) for tensor in manifest.inputs],
            "outputs": [_describe_tensor(tensor) for tensor in manifest.outputs],
            "input_sets": manifest.input_sets,
            "parameters": [parameter.model_dump(exclude_defaults=True) for parameter in manifest.parameters],
        }

    @app.get("/v2/models/{model}/ready", summary="Does the model answer?", responses=PROBES)
    @app.get("/v2/models/{model}/versions/{version}/ready", summary="Does the model version answer?", responses=PROBES)
    async def model_ready(model: str, version: str = "") -> Response:
        variant = gateway.find_variant(model, version)
        is_ready = gateway.is_model_ready(variant)
        body = {"name": variant.model, "version": variant.version, "ready": is_ready}
        return JSONResponse(body, 200 if is_ready else 503)


def _describe_tensor(tensor: Tensor) -> dict[str, Any]:
    """What the protocol asks for, and what the manifest adds: meaning, unit, range, whether it may be left out."""
    return tensor.model_dump(exclude_defaults=True, exclude={"size_sets_time", "singular"})


def _add_infer_routes(app: FastAPI, gateway: Gateway) -> None:
    json_body = {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": INFER_BODY, "example": OIP_EXAMPLE}},
        }
    }

    @app.post(
        "/v2/models/{model}/infer", summary="Infer, as the Open Inference Protocol has it", openapi_extra=json_body
    )
    @app.post("/v2/models/{model}/versions/{version}/infer", summary="Infer with a version", openapi_extra=json_body)
    async def infer(request: Request, model: str, version: str = "") -> Response:
        if request.headers.get("content-encoding", "identity") != "identity":
            raise UnsupportedEncodingError("compressed bodies are not taken; send it without Content-Encoding")
        body = await request.body()
        with recording_refusals(gateway, request, model, version):
            gateway.find_variant(model, version)  # before the body is read for nothing
            decoded, encoding = decode_body(body, request.headers.get(HEADER_LENGTH), model, version)
        request.state.id = decoded.id = decoded.id or request.state.id
        note_caller(decoded, request)
        answer = await answer_while_present(request, gateway.infer(decoded))
        return make_answer_response(answer, encoding)


def _add_short_way(app: FastAPI, gateway: Gateway) -> None:
    contents = {
        "application/octet-stream": {},
        "multipart/form-data": {"schema": FORM},
        "application/json": {"example": ROWS_EXAMPLE},
    }
    body = {"requestBody": {"required": True, "content": contents}}

    # Before the route with a version in its place.
    @app.get("/v1/{model}/example", summary="A row of the model's own to send", responses=EXAMPLES)
    async def example(model: str) -> Response:
        variant = gateway.find_variant(model)
        body = example_body(variant.manifest, read_examples(variant.examples))
        if body is None:
            raise UnknownModelError(
                f"model {model} has no example that can be sent; GET /v2/models/{model} has its inputs"
            )
        return Response(body.content, media_type=body.media_type)

    # One decorator for each method: of several FastAPI would make one operation id.
    @app.put("/v1/{model}", summary="Send a file or rows, get an answer (curl -T)", openapi_extra=body)
    @app.post("/v1/{model}", summary="Send a file or rows, get an answer", openapi_extra=body)
    @app.put("/v1/{model}/{version}", summary="The same with a version (curl -T)", openapi_extra=body)
    @app.post("/v1/{model}/{version}", summary="The same with a version", openapi_extra=body)
    async def infer_plain(request: Request, model: str, version: str = "") -> Response:
        with recording_refusals(gateway, request, model, version):
            body = await read_plain_body(request)
            variant, caller = route(gateway, request, model, version)
            decoded, is_file = build_plain_request(variant, version, body, request.state.id)
        note_caller(decoded, request, caller)
        answer = await answer_while_present(request, gateway.infer(decoded))
        described = (describe_answer if is_file else describe_rows)(answer, variant.manifest)
        # A shell's prompt belongs on a line of its own.
        content = json.dumps(described, ensure_ascii=False) + "\n"
        return Response(content, headers=make_headers(answer.parameters), media_type="application/json")
