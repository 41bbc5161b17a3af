"""The REST application on a gateway whose engine is in this process."""

import re
import warnings

import httpx
import numpy as np
import pytest

from model_store.examples import write_examples
from services.catalogue import Catalogue, ServedVariant
from services.gateway.core import Gateway
from services.gateway.rest import make_app
from services.gateway.settings import GatewaySettings
from tests.services.gateway.conftest import make_manifest

X = {"name": "x", "datatype": "FP32", "shape": [-1, 2], "meaning": "two numbers", "unit": "V", "minimum": -100}


@pytest.fixture
async def http(backend, tmp_path):
    """A client of a server with `double`, which takes numbers or texts, and `net`, which takes numbers alone."""
    examples = tmp_path / "examples.npz"
    write_examples(examples, {"x": np.array([[1, 2]], np.float32)})
    manifests = [make_manifest(), make_manifest(model="net", inputs=[X], input_sets=[["x"]])]
    variants = [
        ServedVariant(manifest=manifest, archive=tmp_path, examples=examples, is_default=True) for manifest in manifests
    ]
    gateway = Gateway(Catalogue(variants), backend, GatewaySettings(max_body_mib=1))
    transport = httpx.ASGITransport(make_app(gateway))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        yield client


async def test_rows_of_json_answer_row_by_row(http):
    response = await http.post("/v1/net", json={"inputs": {"x": [[1, 2.5], [3, 4]]}}, headers={"x-request-id": "me"})
    assert response.json() == {
        "model": "net",
        "version": "3-eager",
        "request": "me",
        "rows": [{"y": [2.0, 5.0]}, {"y": [6.0, 8.0]}],
    }


@pytest.mark.parametrize(
    "body", ["[[1, 2]]", "[1, 2]", '{"inputs": [[1, 2]]}', '{"inputs": {"x": [1, 2]}, "parameters": {"gain": 2}}']
)
async def test_rows_may_come_alone_where_one_input_is_enough(http, body):
    response = await http.put("/v1/net?top_k=1&priority=1", content=body)
    assert response.json()["rows"] == [{"y": [2.0, 4.0]}]


async def test_a_model_of_texts_takes_rows_where_the_body_says_that_it_is_json(http):
    texts = await http.post("/v1/double", json=["ab", "c"])
    assert texts.json()["rows"] == [{"y": "abab"}, {"y": "cc"}]
    numbers = await http.post("/v1/double", json={"inputs": {"x": [[1, 2]], "weight": [1]}})
    assert numbers.json()["rows"] == [{"y": [2.0, 4.0]}]
    file = await http.post("/v1/double", content=b'["ab"]')
    assert file.json()["results"] == {"y": '["ab"]["ab"]'}


async def test_a_form_brings_a_file_and_parameters(http, backend):
    response = await http.post("/v1/double", files={"file": ("a.txt", b"ab")}, data={"top_k": "2"})
    assert response.json()["results"] == {"y": "abab"}
    refused = await http.post("/v1/double", files={"file": ("a.txt", b"ab")}, data={"top_k": "9"})
    assert (refused.status_code, backend.batches) == (400, [[b"ab"]])
    assert "the range is 1 to 5" in refused.json()["error"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"json": {"rows": [[1, 2]]}}, """the body has 'rows'; send rows as JSON: {"inputs": {"x": [row, …]}}"""),
        ({"json": {"inputs": {"z": [[1, 2]]}}}, "there is no input 'z'"),
        ({"json": [[1, 2], [3]]}, "no regular array"),
        ({"json": [["a", "b"]]}, "say which input the rows are"),
        ({"json": [[1, 2, 3]]}, "it must be [N, 2]"),
        ({"json": [[1, -200]]}, "the range is -100 to ∞ V"),
        ({"json": {"inputs": [[1, 2]], "parameters": {"topk": 1}}}, "there is no parameter 'topk'"),
        ({"json": {"inputs": [[1, 2]], "outputs": ["z"]}}, "there is no output 'z'"),
        ({"content": b"nonsense"}, "the body is no JSON"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "the form is broken: Missing boundary"),
        ({"content": b""}, "the body is empty; send rows as JSON"),
        ({"files": [("a", ("a", b"1")), ("b", ("b", b"2"))]}, "the form holds 2 files; send one"),
        ({"data": {"file": "x"}, "files": {"": ("", b"")}}, "the form holds"),
    ],
)
async def test_says_what_is_wrong_with_a_body(http, body, words):
    response = await http.post("/v1/net", **body)
    assert response.status_code == 400
    assert words in response.json()["error"]
    assert response.json()["request"] == response.headers["x-request-id"]


async def test_metadata_says_what_the_manifest_knows_of_tensors_and_parameters(http):
    metadata = (await http.get("/v2/models/net")).json()
    assert metadata["inputs"] == [X]
    assert metadata["input_sets"] == [["x"]]
    assert metadata["parameters"][0] == {
        "name": "top_k",
        "kind": "int64",
        "meaning": "how many",
        "minimum": 1,
        "maximum": 5,
    }


async def test_the_documentation_asks_nothing_of_the_internet(http):
    page = await http.get("/docs")
    assert "SwaggerUIBundle" in page.text
    links = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", page.text)
    assert len(links) == 4
    for link in links:
        found = await http.get(str(httpx.URL("http://here/docs").join(link)))
        assert (link, found.status_code) == (link, 200)
        assert "://" not in link


async def test_each_operation_has_an_id_of_its_own(http):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        document = (await http.get("/openapi.json")).json()
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids)) > 15


async def test_bodies_and_failures_are_described_as_they_are_taken_and_told(http):
    paths = (await http.get("/openapi.json")).json()["paths"]

    def schema(path, kind="application/json", method="post"):
        return paths[path][method]["requestBody"]["content"][kind]["schema"]

    assert schema("/v2/models/{model}/generate_stream")["type"] == "object"
    events = paths["/v2/models/{model}/generate_stream"]["post"]["responses"]["200"]["content"]
    assert "text/event-stream" in events
    assert schema("/v1/{model}", "multipart/form-data", "put")["required"] == ["file"]
    inputs = schema("/v2/models/{model}/infer")["properties"]["inputs"]
    assert inputs["items"]["required"] == ["name", "datatype", "shape", "data"]
    for path in ("/v2/health/ready", "/v2/models/{model}/ready", "/v2/models/{model}/versions/{version}/ready"):
        refusal = paths[path]["get"]["responses"]["503"]["content"]["application/json"]["schema"]
        assert refusal["required"] == ["ready"]


async def test_a_body_over_the_limit_and_an_unknown_path_carry_the_requests_id(http):
    for response, status in (
        (await http.post("/v1/net", content=bytes(2 * 2**20)), 413),
        (await http.get("/nowhere"), 404),
    ):
        assert response.status_code == status
        assert response.json()["request"] == response.headers["x-request-id"]


async def test_a_wrong_method_is_told_the_right_ones(http):
    for path, methods in (
        ("/v2/models/double/ready", "GET"),
        ("/v1/double", "POST, PUT"),
        ("/v1/double/example", "GET"),
    ):
        refused = await http.request("TRACE", path)
        assert (refused.status_code, refused.headers["allow"]) == (405, methods)


async def test_an_unknown_model_is_refused_before_its_body_is_looked_at(http):
    refused = await http.post("/v2/models/none/infer", content=b"no JSON")
    assert (refused.status_code, refused.json()["error"][:52]) == (
        404,
        "Request for unknown model: there is no model 'none';",
    )


async def test_what_breaks_the_gateway_is_answered_in_the_form_of_all_failures(backend, variant, monkeypatch):
    gateway = Gateway(Catalogue([variant]), backend, GatewaySettings())
    logged = []
    monkeypatch.setattr("services.gateway.request_ids.logger.exception", lambda event, **how: logged.append(how))
    monkeypatch.setattr(gateway, "infer", lambda request: 1 / 0)
    transport = httpx.ASGITransport(make_app(gateway), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        refused = await client.post("/v1/double", content=b"ab", headers={"x-request-id": "me"})
    assert (refused.status_code, refused.headers["x-request-id"]) == (500, "me")
    assert refused.json() == {"error": "the server failed; its log has the cause", "request": "me"}
    assert logged == [{"request": "me"}]
