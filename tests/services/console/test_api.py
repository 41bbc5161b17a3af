"""What the page asks, without a browser."""

from urllib.parse import unquote

import httpx
import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from loadtests.bench.front_door import FrontDoorError
from loadtests.bench.polling import Visitor
from model_store.signing import Keyring
from model_store.store import Store
from services.console import Console
from services.console.history import History, find_quantiles
from services.console.page import wants_page
from services.gateway.core import Gateway
from services.gateway.keys import KeyFile, Verb
from services.gateway.metrics import Metrics
from services.gateway.rest import make_app
from services.gateway.routing import ModelRouting, read_routing
from services.gateway.settings import GatewaySettings
from services.selection import select_variants
from tests.services.console.world import SmallModels, publish_all


@pytest.fixture(scope="module")
def http(world):
    with httpx.Client(base_url=world.url) as client:
        yield client


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (BROWSER, "text/html"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/json, text/html;q=0.5", "application/json"),
        ("text/html;q=x", "application/json"),
    ],
)
def test_browsers_get_the_page_and_programs_get_json(http, accept, kind):
    answer = http.get("/", headers={"accept": accept})
    assert answer.headers["content-type"].partition(";")[0] == kind
    assert answer.headers["vary"] == "accept"
    assert wants_page(accept) == (kind == "text/html")


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(http):
    policy = http.get("/", headers={"accept": BROWSER}).headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert http.get("/console/main.js").headers["content-security-policy"] == policy


def test_everything_the_page_asks_is_documented(http):
    paths = http.get("/openapi.json").json()["paths"]
    asked = {"/api/models", "/api/live", "/api/errors", "/api/releases", "/api/reports", "/api/latents", "/api/server"}
    assert asked <= set(paths)
    assert all(operation["summary"] for path in paths.values() for operation in path.values())


def list_references(part):
    if isinstance(part, dict):
        yield from [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from list_references(one)


def test_what_the_description_of_the_interface_refers_to_is_in_it(http):
    described = http.get("/openapi.json").json()
    references = set(list_references(described))
    assert any(reference.endswith("/$defs/Canary") for reference in references)
    for reference in references:
        found = described
        for name in unquote(reference.removeprefix("#/")).split("/"):
            found = found[name.replace("~1", "/")]


def test_a_manifest_says_what_a_form_needs(http):
    manifest = http.get("/api/models/beams?version=1-eager").json()
    assert [tensor["name"] for tensor in manifest["inputs"]] == ["channel", "csi_snr_db"]
    assert manifest["inputs"][1]["unit"] == "dB"
    assert http.get("/api/models/beams?version=7").status_code == 404


def test_models_say_what_a_person_gives_them(http):
    takes = {model["name"]: model["takes"] for model in http.get("/api/models").json()}
    assert takes == {
        "digits": "picture",
        "scenes": "picture",
        "translator": "text",
        "opinions": "text",
        "novelist": "text",
        "noise": "text",
        "painter": "numbers",
        "series": "numbers",
        "beats": "numbers",
        "beams": "numbers",
    }


def test_models_say_what_explains_them(http):
    assert {model["name"]: model["explained_by"] for model in http.get("/api/models").json()} == {
        "digits": ["integrated-gradients", "grad-cam"],
        "scenes": ["integrated-gradients", "grad-cam"],
        "translator": ["attention"],
        "opinions": ["integrated-gradients"],
        "novelist": ["ablation"],
        "painter": [],
        "noise": [],
        "series": [],
        "beats": ["integrated-gradients"],
        "beams": [],
    }
    series = {"name": "history", "datatype": "FP32", "shape": [1, 48], "data": [0] * 48}
    refusal = http.post("/v2/models/series/explain", json={"inputs": [series]})
    assert (refusal.status_code, refusal.json()["error"][:24]) == (400, "nothing explains series:")


def test_examples_are_small_pictures_texts_or_numbers(http):
    digits, texts, beams = (
        http.get(f"/api/models/{name}/examples").json() for name in ("digits", "translator", "beams")
    )
    assert digits[0]["image"].startswith("data:image/png;base64,")
    assert texts[0] == {"row": 0, "text": "good morning"}
    assert beams == [{"row": row} for row in range(3)]


def test_an_example_is_an_infer_request_as_it_stands(http):
    example = http.get("/api/models/digits/examples/1")
    assert example.headers["inference-header-content-length"]
    assert b'"image","datatype":"UINT8","shape":[1,8,8,1]' in example.content
    assert (
        http.get("/api/models/digits/examples/99")
        .json()["error"]
        .startswith("there is no example 99; digits has 0 to 5")
    )


def test_latents_are_those_that_seeds_draw(http):
    first, second = http.get("/api/latents?seed=1&seed=2&size=4").json()
    assert len(first) == 4
    assert first != second
    refusal = http.get("/api/latents?seed=1&size=0")
    assert refusal.status_code == 400
    assert refusal.json()["error"].startswith("query.size is '0': Input should be greater than")
    assert refusal.json()["request"] == refusal.headers["x-request-id"]


@pytest.mark.parametrize("name", ["../secret", "..%2Fsecret", "%2e%2e", "no", "."])
def test_only_reports_are_opened(http, name):
    assert http.get(f"/api/reports/{name}/results").status_code == 404
    assert [report["name"] for report in http.get("/api/reports").json()] == ["2026-01-02", "2026-01-01"]


def test_a_report_is_kept_apart(http):
    policy = http.get("/api/reports/2026-01-01/page").headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts;")
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy  # falls back to default-src 'none'


def test_releases_tell_who_signed_them_and_what_serves(http):
    releases = {(each["model"], each["release"]): each for each in http.get("/api/releases").json()}
    newest = releases["digits", 2]
    assert newest["verified"] is True
    assert len(newest["signed_by"]) == 16
    assert {each["variant"]: each["state"] for each in newest["variants"]} == {"eager": "READY", "int8": "READY"}


def test_a_release_that_was_changed_is_shown_as_not_verified(world, http, tmp_path):
    archive = next((world.folder / "store" / "translator" / "1").glob("*.mar"))
    content = archive.read_bytes()
    index = archive.with_name("release.json")
    try:
        archive.write_bytes(b"other")
        index.touch()
        shown = next(each for each in http.get("/api/releases").json() if each["model"] == "translator")
    finally:
        archive.write_bytes(content)
        index.touch()
    assert shown["verified"] is False
    assert shown["why"].startswith("translator/1/translator-1-eager.mar is not the file that was signed")


def test_a_refusal_is_remembered_with_its_request_id(http):
    http.post("/v2/models/none/infer", json={"inputs": []}, headers={"x-request-id": "lost-1"})
    newest = http.get("/api/errors").json()[0]
    assert (newest["request"], newest["model"], newest["outcome"]) == ("lost-1", "none", "unknown_model")
    assert "there is no model 'none'" in newest["why"]


def test_the_benchmark_asks_for_what_is_new_alone_and_names_a_refusal(world, http):
    world.take_sample()
    visitor = Visitor(world.url)
    for _ in range(2):
        visitor.poll()
    last = http.get("/api/live").json()["samples"][-1]["number"]
    assert visitor.last_sample == last > 0
    visitor.close()
    stranger = Visitor(f"{world.url}/elsewhere/")
    with pytest.raises(FrontDoorError, match="GET /v2/health/ready answered 404"):
        stranger.poll()
    stranger.close()


def test_history_shows_rates_and_quantiles_between_two_looks(monkeypatch):
    now_s = 100.0
    monkeypatch.setattr("services.console.history.time.monotonic", lambda: now_s)
    metrics = Metrics()
    model = metrics.of("net", "1-eager")
    model.count("http", "ok")
    history = History()
    history.take_sample(metrics.registry.collect())
    for _ in range(9):
        model.count("grpc", "ok")
        model.latency.observe(0.002)
    model.count("http", "overloaded")
    model.count("self", "ok")  # readiness asks too, and is nobody's load
    model.batch_rows.observe(6)
    model.batch_rows.observe(12)
    model.waiting_rows.set(3)
    now_s = 105.0
    history.take_sample(metrics.registry.collect())
    (sample,) = history.after(0)
    at = sample["versions"]["net 1-eager"]
    assert (at["requests_per_s"], at["errors_per_s"], at["rows_per_s"], at["batch_rows"]) == (2.0, 0.2, 3.6, 9.0)
    assert at["latency_ms"] == [1.5, 1.9, 1.99]
    assert at["queue_ms"] == [None, None, None]
    assert at["gauges"]["millrace_waiting_rows"] == 3
    assert history.after(1) == []
    assert history.after(99) == [sample]  # asked by somebody who knew the server before it was started anew


def test_quantiles_lie_within_their_bucket():
    assert find_quantiles({}, [0.5]) == [None]
    assert find_quantiles({"1.0": 0, "2.0": 4, "+Inf": 4, "_sum": 6.0, "_count": 4}, [0.0, 0.5, 1.0]) == [1.0, 1.5, 2.0]
    assert find_quantiles({"1.0": 1, "+Inf": 2}, [0.99]) == [1.0]  # beyond the last bound nobody knows


def test_what_the_training_run_left_comes_with_the_release(http):
    run = http.get("/api/releases/digits/2/run").json()
    assert run["training"]["curves"]["validation/accuracy"]["steps"] == [100, 200]
    assert run["evaluation"]["confusion_matrix"] == [[5, 1], [0, 6]]
    assert run["pictures"] == ["samples.png"]
    picture = http.get("/api/releases/digits/2/run/samples.png")
    assert (picture.headers["content-type"], picture.content[:4]) == ("image/png", b"\x89PNG")
    for other in ("training.json", "../release.json", "no.png"):
        assert http.get(f"/api/releases/digits/2/run/{other}").status_code == 404
    assert http.get("/api/releases/digits/1/run").json() == {"training": {}, "evaluation": {}, "pictures": []}


class DriftedNet(Collector):
    """Two features of one version, one of which is another than was released."""

    def collect(self):
        for name, mean, spread in (
            ("stability_index", 0.412345, 0.1),
            ("same_p_value", 1e-9, 0.3),
            ("watched_rows", 400, 400),
        ):
            family = GaugeMetricFamily(f"millrace_input_{name}", "", labels=("model", "version", "input", "feature"))
            family.add_metric(("net", "1-eager", "x", "spread"), spread)
            family.add_metric(("net", "1-eager", "x", "mean"), mean)
            yield family


def test_history_names_the_feature_that_drifted_most():
    history, metrics = History(), Metrics()
    metrics.registry.register(DriftedNet())
    metrics.of("net", "1-eager").ready.set(1)
    for _ in range(2):
        history.take_sample(metrics.registry.collect())
    (sample,) = history.after(0)
    at = sample["versions"]["net 1-eager"]
    assert at["drift"] == {
        "input": "x",
        "feature": "mean",
        "stability_index": 0.4123,
        "p_value": 1e-9,
        "num_rows": 400,
    }
    assert not [name for name in at["gauges"] if "input" in name]


def test_history_tells_what_the_valve_gave_to_whom(monkeypatch):
    now_s = 100.0
    monkeypatch.setattr("services.console.history.time.monotonic", lambda: now_s)
    history, metrics = History(), Metrics()
    model = metrics.of("net", "1-eager")
    history.take_sample(metrics.registry.collect())
    for _ in range(10):
        model.count_redirected("1-int8")
    now_s = 105.0
    history.take_sample(metrics.registry.collect())
    now_s = 110.0
    history.take_sample(metrics.registry.collect())
    given = [sample["versions"]["net 1-eager"]["redirected_per_s"] for sample in history.after(0)]
    assert given == [{"1-int8": 2.0}, {}]


@pytest.fixture
async def locked(tmp_path):
    """A console behind keys: one for everything, one for the translator alone, one that may not read."""
    world_store = Store(tmp_path / "store", Keyring(tmp_path / "keys"))
    publish_all(world_store)
    file = KeyFile(tmp_path / "keys.json")
    keys = {
        "all": file.add("all", (), (Verb.READ,), None),
        "translator": file.add("one", ("translator",), (Verb.READ, Verb.INFER), None),
        "sender": file.add("sender", (), (Verb.INFER,), None),
        "admin": file.add("admin", ("digits",), (Verb.READ, Verb.ADMIN), None),
    }
    catalogue = select_variants(world_store, [], ["default"], "cpu")
    settings = GatewaySettings(api_keys=tmp_path / "keys.json", routing=tmp_path / "routing.yaml")
    gateway = Gateway(catalogue, SmallModels(), settings)
    (tmp_path / "routing.yaml").write_text("models: {translator: {pin: 1-eager}}")
    transport = httpx.ASGITransport(make_app(gateway, Console(gateway, world_store, tmp_path)))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:

        async def ask(path, key, accept="application/json", **options):
            headers = {"accept": accept} | options.pop("headers", {})
            headers |= {"authorization": f"Bearer {keys[key]}"} if key else {}
            method = options.pop("method", "PUT" if options else "GET")
            return await client.request(method, path, headers=headers, **options)

        ask.keys = keys
        yield ask


async def test_the_page_itself_needs_no_key_and_what_it_asks_does(locked):
    assert (await locked("/", "", BROWSER)).headers["content-type"].startswith("text/html")
    assert (await locked("/console/main.js", "")).status_code == 200
    assert (await locked("/", "")).status_code == 401
    for path in ("/api/models", "/api/live", "/api/errors", "/api/releases", "/api/reports"):
        assert (await locked(path, "")).status_code == 401, path
        assert (await locked(path, "sender")).status_code == 403, path
        assert (await locked(path, "all")).status_code == 200, path


async def test_a_cookie_is_a_key_for_a_reports_page_alone(locked, tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "results.json").write_text("{}")
    (folder / "index.html").write_text("a report")

    async def ask(path, key, **options):
        return (await locked(path, "", headers={"cookie": f"millrace-key={locked.keys[key]}"}, **options)).status_code

    assert await ask("/api/reports/one/page", "all", method="GET") == 200
    assert await ask("/api/reports/one/page", "sender", method="GET") == 403
    for path in ("/api/reports/one/results", "/api/reports", "/api/models/one/page", "/api/reports/one/page/more"):
        assert await ask(path, "all", method="GET") == 401, path
    assert await ask("/api/reports/one/page", "admin", method="POST") == 401


async def test_a_key_for_one_model_sees_nothing_of_the_others(locked):
    assert [each["name"] for each in (await locked("/api/models", "translator")).json()] == ["translator"]
    assert [each["model"] for each in (await locked("/api/releases", "translator")).json()] == ["translator"]
    assert (await locked("/api/models/digits", "translator")).status_code == 403
    assert (await locked("/api/models/digits/examples/0", "translator")).status_code == 403
    assert (await locked("/api/models/translator/examples", "translator")).status_code == 200
    assert (await locked("/api/releases/digits/1/run", "translator")).status_code == 403


async def test_a_key_for_admin_pins_gives_a_part_and_goes_back(locked, tmp_path):
    for rules in ({"pin": "1-eager"}, {"canary": {"weights": {"1-eager": 0.05}}}, {"pin": "2-int8"}):
        assert (await locked("/api/routing/digits", "admin", json=rules)).json() == rules
        assert read_routing(tmp_path / "routing.yaml").of("digits") == ModelRouting.model_validate(rules)
    shown = (await locked("/api/routing", "admin")).json()
    assert (shown["writable"], shown["models"]) == (True, {"digits": {"pin": "2-int8"}})
    assert (await locked("/api/routing/digits", "admin", json={})).status_code == 200
    assert set(read_routing(tmp_path / "routing.yaml").models) == {"translator"}  # others stay as they were


async def test_rules_are_replaced_only_as_they_were_seen_if_that_is_asked(locked, tmp_path):
    async def put(rules, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await locked("/api/routing/digits", "admin", json=rules, headers=headers)
        return answer.status_code, answer.headers.get("etag")

    assert (await put({"pin": "1-eager"}, if_match='"0"'))[0] == 412
    status, first = await put({"pin": "1-eager"}, if_none_match="*")
    assert status == 200
    assert (await locked("/api/routing", "admin")).json()["etags"] == {"digits": first}
    assert (await put({"pin": "2-eager"}, if_none_match="*"))[0] == 412
    status, second = await put({"pin": "2-eager"}, if_match=f'"0", {first}')
    assert status == 200
    assert second != first
    assert await put({"pin": "1-int8"}, if_match=first) == (412, None)
    assert read_routing(tmp_path / "routing.yaml").of("digits").pin == "2-eager"
    assert (await put({"pin": "1-int8"}, if_match="*"))[0] == 200


@pytest.mark.parametrize(
    ("key", "model", "rules", "status", "why"),
    [
        ("all", "digits", {"pin": "1-eager"}, 403, "admin"),
        ("", "digits", {"pin": "1-eager"}, 401, "key"),
        ("admin", "translator", {"pin": "1-eager"}, 403, "not for 'translator'"),
        ("admin", "digits", {"pin": "1-fp4"}, 400, "no variant 'fp4' that may serve; it has eager, int8"),
        ("admin", "digits", {"pin": "9-eager"}, 404, "has no release 9"),
        ("admin", "digits", {"pine": "1-eager"}, 400, "pine"),
    ],
)
async def test_nobody_else_and_nothing_else_is_steered(locked, tmp_path, key, model, rules, status, why):
    before = (tmp_path / "routing.yaml").read_text()
    answer = await locked(f"/api/routing/{model}", key, json=rules)
    assert answer.status_code == status
    assert why in answer.json()["error"]
    assert (tmp_path / "routing.yaml").read_text() == before


async def test_only_a_key_for_admin_of_the_model_rolls_back_and_only_what_it_has_seen(locked, tmp_path):
    async def roll_back(key, model="digits", **decision):
        path = f"/api/releases/{model}/rollback"
        answer = await locked(path, key, method="POST", json={"why": "wrong labels", **decision})
        return answer.status_code, answer.json()

    assert (await roll_back("all"))[0] == 403
    assert (await roll_back("admin", "translator"))[0] == 403
    assert (await roll_back("admin", why=""))[0] == 400
    status, refusal = await roll_back("admin", current=1)
    assert status == 412
    assert refusal["error"].startswith("digits answers by release 2 now")
    status, act = await roll_back("admin", current=2)
    assert status == 200
    assert (act["kind"], act["version"], act["why"]) == ("withdraw", "2", "wrong labels (admin)")
    told = (await locked("/api/acts", "admin")).json()
    assert told["writable"] is True
    assert told["models"] == {
        "digits": {"problem": "", "acts": [act], "current": 1, "previous": None, "withdrawn": ["2"], "promoted": {}}
    }
    status, refusal = await roll_back("admin", current=1)
    assert status == 400
    assert "nothing to go back to from release 1" in refusal["error"]
    body = {"why": "mended"}
    path = "/api/releases/digits/2/restore"
    assert (await locked(path, "all", method="POST", json=body)).status_code == 403
    assert (await locked(path, "admin", method="POST", json=body)).json()["kind"] == "restore"
    assert (await locked(path, "admin", method="POST", json=body)).status_code == 400
    (tmp_path / "store" / "digits" / "acts" / "1.json").unlink()
    why = (await locked("/api/acts", "admin")).json()["models"]["digits"]["problem"]
    assert why == "digits/acts has acts [2]: one is missing; restore it"


def test_without_keys_nobody_rolls_back(http):
    answer = http.post("/api/releases/digits/rollback", json={"why": "no"})
    assert answer.status_code == 403
    assert "`store rollback`" in answer.json()["error"]
    assert http.get("/api/acts").json()["writable"] is False


def test_without_keys_nobody_steers(http):
    answer = http.put("/api/routing/digits", json={"pin": "1-eager"})
    assert answer.status_code == 403
    assert "MILLRACE_ROUTING=FILE" in answer.json()["error"]
    assert http.get("/api/routing").json() == {"writable": False, "models": {}, "etags": {}}
