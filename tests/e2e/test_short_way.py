"""curl -T shoe.png localhost:8000/v1/classifier"""

import io

import httpx
import pytest
from PIL import Image


@pytest.fixture
def picture():
    file = io.BytesIO()
    Image.new("RGB", (40, 40), (250, 250, 250)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_answers_a_file_with_a_readable_ranking(served, picture, method):
    url = f"http://{served.http}/v1/brightness?top_k=2"
    response = httpx.request(method, url, content=picture, headers={"x-request-id": "me-1"})
    assert response.status_code == 200
    answer = response.json()
    assert {key: answer[key] for key in ("model", "version", "request")} == {
        "model": "brightness",
        "version": "1-eager",
        "request": "me-1",
    }
    assert [result["label"] for result in answer["results"]] == ["bright", "middle"]
    assert answer["results"][0]["probability"] > 0.9
    assert response.headers["x-request-id"] == "me-1"


def test_ranks_without_being_asked(served, picture):
    answer = httpx.put(f"http://{served.http}/v1/brightness/1-eager", content=picture).json()
    assert [result["label"] for result in answer["results"]] == ["bright", "middle", "dark"]


@pytest.mark.parametrize(
    ("path", "content", "status", "words"),
    [
        ("/v1/brightness", b"", 400, "send a file"),
        ("/v1/brightness", b"text", 400, "not a PNG or JPEG file"),
        ("/v1/brightness?top_k=many", b"x", 400, "must be a whole number (int64): classes"),
        ("/v1/brightness?topk=1", b"x", 400, "there is no parameter 'topk'"),
        ("/v1/scale", b"x", 400, "the body is no JSON"),
        ("/v1/nothing", b"x", 404, "Request for unknown model: there is no model 'nothing'"),
        ("/v1/brightness/7", b"x", 404, "no version '7'"),
        ("/nowhere", b"x", 404, "GET / lists"),
    ],
)
def test_says_what_is_wrong(served, path, content, status, words):
    response = httpx.put(f"http://{served.http}{path}", content=content)
    assert response.status_code == status
    assert words in response.json()["error"]


def test_a_form_and_plain_rows_answer_too(served, picture):
    form = httpx.post(f"http://{served.http}/v1/brightness", files={"file": picture}, data={"top_k": "1"}).json()
    assert [result["label"] for result in form["results"]] == ["bright"]
    rows = httpx.post(f"http://{served.http}/v1/scale", content="[[1, 2, 3, 4]]").json()
    assert rows["rows"] == [{"y": [2, 4, 6, 8]}]


def test_the_models_own_example_can_be_sent_back(served):
    example = httpx.get(f"http://{served.http}/v1/brightness/example")
    assert example.headers["content-type"] == "image/png"
    answer = httpx.put(f"http://{served.http}/v1/brightness", content=example.content).json()
    assert answer["results"][0]["label"] == "dark"


def test_the_first_page_and_the_documentation_show_the_models(served):
    index = httpx.get(f"http://{served.http}/").json()
    assert [model["name"] for model in index["models"]] == ["brightness", "scale", "shades"]
    assert index["models"][0]["try"] == [
        f"curl -s {served.http}/v1/brightness/example -o example.png",
        f"curl -T example.png {served.http}/v1/brightness",
        f"infer brightness example.png --url {served.grpc}",
    ]
    assert httpx.get(index["documentation"]).status_code == 200
    assert "/v2/models/{model}/infer" in httpx.get(f"http://{served.http}/openapi.json").json()["paths"]
