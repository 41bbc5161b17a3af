import numpy as np
import pytest

from loadtests.scenario import ScenarioError, read_scenario, schedule_arrivals
from loadtests.scenario_run import ScenarioResults
from tests.loadtests.test_cli import loadtest as loadtest  # the fixture
from tests.services.client.open_inference_server import run_server

HEAD = "name: test\nbound_ms: 500\ntargets: [{model: double}]\n"


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "scenario.yaml"
        path.write_text(text)
        return read_scenario(path)

    return read


def count_per_s(times, start_s, end_s):
    return ((times >= start_s) & (times < end_s)).sum() / (end_s - start_s)


def test_a_spike_arrives_in_the_middle_after_the_warm_up(read):
    scenario = read(HEAD + "load: {kind: spike, rate: 50, peak_rate: 400, seconds: 60, peak_seconds: 20}")
    times, _ = schedule_arrivals(scenario)
    assert (np.diff(times) >= 0).all()
    assert count_per_s(times, 21, 41) == pytest.approx(400, rel=0.05)
    assert count_per_s(times, 1, 21) == pytest.approx(50, rel=0.1)
    assert count_per_s(times, 41, 61) == pytest.approx(50, rel=0.1)


def test_a_ramp_grows_evenly(read):
    times, _ = schedule_arrivals(read(HEAD + "warm_up_s: 0\nload: {kind: ramp, rate: 100, end_rate: 300, seconds: 40}"))
    assert [count_per_s(times, start, start + 10) for start in (0, 10, 20, 30)] == pytest.approx(
        [125, 175, 225, 275], rel=0.08
    )


def test_arrivals_at_random_are_as_irregular_as_poisson_has_it(read):
    times, _ = schedule_arrivals(read(HEAD + "load: {kind: soak, rate: 200, seconds: 100}"))
    gaps = np.diff(times)
    assert gaps.std() / gaps.mean() == pytest.approx(1, rel=0.05)


def test_a_mixture_shares_requests_among_its_targets(read):
    text = HEAD.replace("{model: double}", "{model: a, share: 3}, {model: b, share: 1}")
    _, picks = schedule_arrivals(read(text + "load: {kind: server, rate: 100, seconds: 100}"))
    assert (picks == 0).mean() == pytest.approx(0.75, abs=0.02)


def test_recorded_arrivals_are_replayed_at_their_speed(read, tmp_path):
    (tmp_path / "log.txt").write_text("100\n100.5\n104\n")
    times, _ = schedule_arrivals(read(HEAD + "load: {kind: replay, file: log.txt, speed: 2}"))
    assert times.tolist() == [0, 0.25, 2]
    (tmp_path / "log.txt").write_text("2\n1\n")
    with pytest.raises(ScenarioError, match="ascending"):
        schedule_arrivals(read(HEAD + "load: {kind: replay, file: log.txt}"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (HEAD, "load: Field required"),
        (
            HEAD + "load: {kind: wave, rate: 1, seconds: 1}",
            "'spike', 'replay', 'singlestream', 'multistream', 'offline'",
        ),
        (HEAD + "load: {kind: server, rate: -1, seconds: 1}", "load.server.rate: Input should be greater than 0"),
        (HEAD + "load: {kind: server, rate: 1, seconds: 1}\nbuond: 1", "buond: Extra inputs"),
        (HEAD + "load: {kind: spike, rate: 1, peak_rate: 2, seconds: 1, peak_seconds: 2}", "does not fit into 1 s"),
        (HEAD.replace("}]", "}, {model: b}]") + "load: {kind: offline, seconds: 1}", "offline asks one target, not 2"),
        (
            HEAD + "protocol: http\nload: {kind: soak, rate: 1, seconds: 1}",
            "protocol: Input should be 'grpc', 'rest' or 'torchserve'",
        ),
        (
            HEAD + "url: far\nprotocol: rest\nload: {kind: soak, rate: 1, seconds: 1}",
            "the url 'far' is not http://host:port, for rest",
        ),
        (
            HEAD + "url: http://far:1\nload: {kind: soak, rate: 1, seconds: 1}",
            "the url 'http://far:1' is not host:port, for gRPC",
        ),
        (HEAD + "url: far\nload: {kind: soak, rate: 1, seconds: 1}", "'far' is no address; expected host:port"),
        (
            "name: test\nbound_ms: 5\nprotocol: torchserve\ntargets: [{model: a, called: {model: b}}]\n"
            "load: {kind: soak, rate: 1, seconds: 1}",
            "TorchServe is asked for a version",
        ),
        ("a: [", "is not YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(read, text, named):
    with pytest.raises(ScenarioError) as caught:
        read(text)
    assert named in str(caught.value)


def test_gaps_of_a_small_shape_come_in_bursts_at_the_same_rate(read):
    gaps = np.diff(schedule_arrivals(read(HEAD + "load: {kind: soak, rate: 200, seconds: 200, shape: 0.25}"))[0])
    assert len(gaps) / 200 == pytest.approx(200, rel=0.05)
    assert gaps.std() / gaps.mean() == pytest.approx(2, rel=0.1)  # of a gamma distribution: 1 / √shape


@pytest.fixture
def run(loadtest, store, tmp_path):
    """Run a scenario as a shell would; gives exit status, output and the report's folder."""

    def run(text, *options):
        path = tmp_path / "scenario.yaml"
        path.write_text(text)
        status, out, err = loadtest("scenario", path, "--store", store.root, "--out", tmp_path / "out", *options)
        return status, out + err, tmp_path / "out"

    return run


def test_a_scenario_is_run_and_judged_and_its_page_shows_the_time(run):
    with run_server() as server:
        load = "warm_up_s: 0.2\nload: {kind: ramp, rate: 50, end_rate: 150, seconds: 1.5}"
        status, out, folder = run(HEAD + load, "--grpc-url", server.url)
        assert len(server.requests) > 100
    assert "double 1-int8" in out
    assert (status == 0) == ("held, VALID" in out)
    (outcome,) = ScenarioResults.model_validate_json((folder / "scenario.json").read_bytes()).outcomes
    windows = outcome.recording.windows
    assert outcome.recording.arrivals_s == pytest.approx(1.5)
    assert sum(w.scheduled for w in windows[20:]) > 1.3 * sum(w.scheduled for w in windows[:20])
    page = (folder / "index.html").read_text()
    assert "double 1-int8" in page
    assert page.count("<svg") == 4  # requests a second and latency, wide and narrow
    assert f"{outcome.recording.num_offered:,}" in page


def test_a_stream_over_rest_asks_a_server_that_is_not_ours_by_its_own_names(run, rest_url):
    text = HEAD.replace("{model: double}", "{model: double, called: {model: double, version: '7'}}")
    load = f"url: {rest_url}/\nprotocol: rest\nload: {{kind: singlestream, seconds: 0.5}}"
    status, out, folder = run(text + load)
    assert "double 7" in out
    assert (status == 0) == ("held, VALID" in out)
    (outcome,) = ScenarioResults.model_validate_json((folder / "scenario.json").read_bytes()).outcomes
    assert outcome.recording.requests > 3
    assert outcome.recording.errors == {}


def test_torchserve_itself_is_measured_beside_its_gateway(run, torchserve_url):
    load = f"url: {torchserve_url}\nprotocol: torchserve\nwarm_up_s: 0\nload: {{kind: server, rate: 50, seconds: 0.5}}"
    status, out, folder = run(HEAD + load)
    (outcome,) = ScenarioResults.model_validate_json((folder / "scenario.json").read_bytes()).outcomes
    assert (outcome.name, outcome.protocol) == ("double 1-int8", "torchserve")
    assert (outcome.recording.requests > 10, outcome.recording.errors) == (True, {})
    assert (status == 0) == ("held, VALID" in out)


def test_offline_is_judged_without_a_bound(run):
    with run_server() as server:
        status, out, _ = run(HEAD + "load: {kind: offline, seconds: 0.6}", "--grpc-url", server.url)
    assert (status == 0) == ("rows/s, VALID" in out), out


def test_a_server_to_start_and_one_that_the_file_names_exclude_each_other(run):
    status, out, _ = run(HEAD + "url: far:8001\nload: {kind: soak, rate: 1, seconds: 1}", "--serve")
    assert status != 0
    assert "names the server far:8001: leave out its url or --serve" in out
