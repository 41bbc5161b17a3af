import subprocess
import sys
import time
from contextlib import contextmanager

import grpc
import numpy as np
import psutil
import pytest

from host.ports import find_free_ports
from loadtests.generate.payload import cut_batches, make_grpc_bodies, make_rest_bodies
from loadtests.generate.plan import ClosedLoop, OpenLoop, Probing, Remote, Scheduled, Traffic
from loadtests.generate.processes import (
    GeneratorError,
    run_closed_loop,
    run_open_loop,
    run_rate_search,
    run_remote_closed_loop,
    run_scheduled,
)
from model_store.examples import write_examples
from model_store.open_inference import messages
from services.client import Tls
from tests.certificates import write_certificate
from tests.services.client.open_inference_server import run_server


@pytest.fixture(scope="module")
def server():
    with run_server() as fake:
        yield fake


@pytest.fixture
def traffic(server, tmp_path):
    examples = tmp_path / "examples.npz"
    write_examples(examples, {"x": np.arange(12, dtype=np.float32).reshape(3, 4)})
    server.requests.clear()
    return Traffic(url=server.url, model="double", version="1-int8", examples_path=examples, input_names=("x",))


def test_closed_loop_measures_each_level(traffic, server):
    plan = ClosedLoop(traffic=traffic, callers=(1, 4), warm_up_s=0.2, least_s=0.6, most_s=1.5)
    one, four = run_closed_loop(plan)
    for recording in (one, four):
        assert recording.requests > 5
        assert recording.errors == {}
        assert recording.corrected is None
        assert 0 < recording.cost.cpu_cores < 2
        assert recording.duration_s >= 0.6
        assert sum(window.requests for window in recording.windows) == pytest.approx(recording.requests, abs=5)
    assert len(server.requests) >= one.requests + four.requests
    assert {request.model_version for request in server.requests} == {"1-int8"}


def test_callers_and_schedules_speak_tls(traffic, tmp_path):
    certificate, key = write_certificate(tmp_path)
    with run_server(grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])) as fake:
        traffic = traffic.model_copy(update={"url": f"localhost:{fake.port}", "tls": Tls(ca=certificate)})
        (closed,) = run_closed_loop(ClosedLoop(traffic=traffic, callers=(1,), warm_up_s=0.1, least_s=0.3, most_s=0.3))
        times_s, picks = (0.0, 0.1, 0.2), (0, 0, 0)
        (scheduled,) = run_scheduled(
            Scheduled(traffics=(traffic,), length_s=0.3, times_s=times_s, picks=picks, warm_up_s=0.0, timeout_s=10.0)
        )
    assert (closed.requests > 5, closed.errors) == (True, {})
    assert (scheduled.requests, scheduled.errors) == (3, {})


def test_a_level_that_is_not_known_well_enough_uses_the_time_that_was_left_over(traffic):
    tiring = traffic.model_copy(update={"model": "tiring"})
    plan = ClosedLoop(traffic=tiring, callers=(1,), warm_up_s=0.0, least_s=0.3, most_s=0.5, spare_s=0.7)
    (recording,) = run_closed_loop(plan)
    assert recording.duration_s >= 1.1


def test_closed_loop_shares_callers_among_processes(traffic):
    (recording,) = run_closed_loop(
        ClosedLoop(traffic=traffic, callers=(4,), warm_up_s=0.1, least_s=0.4, most_s=0.4), processes=2
    )
    assert recording.cost.processes == 2
    assert recording.requests > 5


@contextmanager
def run_workers(address, num_workers):
    """Workers as on other machines, each serving one sweep."""
    command = [sys.executable, "-m", "loadtests.generate.worker", address]
    started = [subprocess.Popen(command) for _ in range(num_workers)]
    try:
        yield
        assert [process.wait(30) for process in started] == [0] * num_workers
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_workers_on_other_machines_share_the_callers_and_their_recordings_are_one(protocol, traffic, server, rest_url):
    url = server.url if protocol == "grpc" else rest_url
    loop = ClosedLoop(
        traffic=traffic.model_copy(update={"protocol": protocol, "url": url}),
        callers=(1, 4),
        warm_up_s=0.2,
        least_s=0.2,
        most_s=0.8,
    )
    address = f"127.0.0.1:{find_free_ports(1)[0]}"
    before = time.time()
    with run_workers(address, 2):
        one, four = run_remote_closed_loop(loop, Remote(address=address, num_workers=2))
    for recording in (one, four):
        assert recording.cost.processes == 2
        assert recording.errors == {}
        assert recording.requests > 5
        assert recording.duration_s == pytest.approx(0.8, abs=0.5)
        assert len(recording.latencies()) == recording.requests
        assert before < recording.started < time.time()
    assert one.started + 0.8 <= four.started


def test_failed_requests_are_counted_by_status(traffic):
    broken = traffic.model_copy(update={"model": "busy"})
    (recording,) = run_closed_loop(ClosedLoop(traffic=broken, callers=(1,), warm_up_s=0.0, least_s=0.3, most_s=0.3))
    assert recording.requests == 0
    assert list(recording.errors) == ["RESOURCE_EXHAUSTED"]


def test_open_loop_sends_at_the_rate_and_counts_from_the_schedule(traffic):
    plan = OpenLoop(traffic=traffic, scenario="Server", rate=100, warm_up_s=0.5, measure_s=1.5, bound_ms=1000)
    recording = run_open_loop(plan)
    assert recording.requests == pytest.approx(150, rel=0.35)  # Poisson: 150 ± 12, and the last may lie beyond the end
    assert recording.arrivals_s == 1.5
    assert recording.errors == {}
    assert recording.loadgen_result in ("VALID", "INVALID")
    uncorrected = recording.model_copy(update={"corrected": None})
    assert recording.latencies().mean_ms >= uncorrected.latencies().mean_ms
    assert sum(window.scheduled for window in recording.windows) == pytest.approx(recording.requests, abs=3)


@pytest.mark.parametrize(("scenario", "rows"), [("SingleStream", 1), ("MultiStream", 8), ("Offline", 3)])
def test_the_other_scenarios_send_their_rows(traffic, server, scenario, rows):
    sized = traffic.model_copy(update={"rows_per_request": rows})
    recording = run_open_loop(OpenLoop(traffic=sized, scenario=scenario, rate=300, measure_s=0.6, bound_ms=1000))
    assert recording.requests > 5
    assert recording.rows_per_s == pytest.approx(recording.requests_per_s * rows)
    assert {request.inputs[0].shape[0] for request in server.requests} == {rows}


def test_a_rate_is_searched_over_one_channel(traffic, server):
    plan = Probing(
        traffic=traffic,
        bound_ms=40.0,
        first_rate=100.0,
        warm_up_s=0.1,
        least_s=0.6,
        most_s=2.0,
        budget_s=2.5,
        resolution=1.1,
    )
    found = run_rate_search(plan)
    assert found.probes[0].rate == 100
    assert found.probes[0].requests > 30
    assert len(server.requests) >= sum(probe.requests for probe in found.probes)
    assert all(probe.late_mean_ms >= 0 for probe in found.probes)


def test_a_rate_that_only_fails_is_not_held(traffic):
    broken = traffic.model_copy(update={"url": "127.0.0.1:1"})
    plan = {"bound_ms": 40.0, "first_rate": 100.0, "warm_up_s": 0.0, "least_s": 0.5, "most_s": 1.0}
    with pytest.raises(GeneratorError, match="no server answers at"):
        run_rate_search(Probing(traffic=broken, budget_s=1.0, resolution=1.1, **plan))


def test_open_loop_counts_errors(traffic):
    broken = traffic.model_copy(update={"model": "busy"})
    with pytest.raises(GeneratorError, match="RESOURCE_EXHAUSTED"):
        run_open_loop(OpenLoop(traffic=broken, scenario="Server", rate=50, measure_s=0.5, bound_ms=1000))


def plan_schedule(traffic, *times_s):
    times = {"times_s": times_s, "picks": (0,) * len(times_s), "length_s": times_s[-1] + 0.1}
    return Scheduled(traffics=(traffic,), warm_up_s=0.0, timeout_s=10.0, **times)


def test_several_processes_send_one_schedule_between_them(traffic, server):
    (recording,) = run_scheduled(plan_schedule(traffic, *np.arange(0, 1, 0.02).tolist()), processes=2)
    assert (recording.requests, recording.errors, recording.cost.processes) == (50, {}, 2)
    assert [sum(w.scheduled for w in recording.windows[part : part + 10]) for part in (0, 10, 20, 30)] == pytest.approx(
        [13, 14, 14, 9], abs=2
    )
    assert len(server.requests) == 52  # each process connects with one


def test_open_loops_go_over_rest_too(traffic, rest_url):
    rest = traffic.model_copy(update={"protocol": "rest", "url": rest_url})
    plan = OpenLoop(traffic=rest, scenario="Server", rate=50, warm_up_s=0.2, measure_s=0.8, bound_ms=1000)
    recording = run_open_loop(plan)
    assert recording.errors == {}
    assert recording.requests == pytest.approx(40, abs=25)
    (scheduled,) = run_scheduled(plan_schedule(rest, 0.0, 0.05, 0.1))
    assert (scheduled.requests, scheduled.errors) == (3, {})
    with pytest.raises(GeneratorError, match="HTTP 404"):
        run_scheduled(plan_schedule(rest.model_copy(update={"model": "other"}), 0.0))
    with pytest.raises(GeneratorError, match=r"no server answers at http://127\.0\.0\.1:1"):
        run_scheduled(plan_schedule(rest.model_copy(update={"url": "http://127.0.0.1:1"}), 0.0))


def test_torchserve_is_asked_itself_and_its_200_for_a_broken_handler_is_an_error(traffic, torchserve_url):
    direct = traffic.model_copy(update={"protocol": "torchserve", "url": torchserve_url})
    (scheduled,) = run_scheduled(plan_schedule(direct, 0.0, 0.05, 0.1))
    assert (scheduled.requests, scheduled.errors) == (3, {})
    for model, status in (("broken", "MODEL_FAILED"), ("foreign", "UNREADABLE")):
        with pytest.raises(GeneratorError, match=status):
            run_scheduled(plan_schedule(direct.model_copy(update={"model": model}), 0.0))


def test_one_process_follows_one_plan_after_the_other_with_the_environment_of_each(traffic, monkeypatch):
    plan = plan_schedule(traffic, 0.0, 0.1)

    def list_children():
        return {child.pid for child in psutil.Process().children() if "loadtests.generate.scheduled" in child.cmdline()}

    monkeypatch.setenv("MILLRACE_API_KEY", "first")
    run_scheduled(plan)
    before = list_children()
    assert [recording.requests for recording in run_scheduled(plan)] == [2]
    assert list_children() == before
    monkeypatch.setenv("MILLRACE_API_KEY", "second")
    run_scheduled(plan)
    assert len(list_children() - before) == 1


def test_a_generator_that_broke_is_gone(traffic):
    broken = traffic.model_copy(update={"url": "127.0.0.1:1"})
    plan = plan_schedule(broken, 0.0)
    with pytest.raises(GeneratorError, match="no server answers at"):
        run_scheduled(plan)
    (recording,) = run_scheduled(plan.model_copy(update={"traffics": (traffic,)}))
    assert (recording.requests, recording.errors) == (1, {})


def test_a_generator_without_its_examples_says_so(traffic):
    with pytest.raises(GeneratorError, match="has no rows for"):
        run_open_loop(
            OpenLoop(
                traffic=traffic.model_copy(update={"input_names": ("y",)}),
                scenario="Server",
                rate=50,
                measure_s=0.5,
                bound_ms=1000,
            )
        )


def test_batches_go_round_the_examples():
    batches = cut_batches({"x": np.arange(5)}, 2)
    assert [batch["x"].tolist() for batch in batches] == [[0, 1], [2, 3], [4, 0], [1, 2], [3, 4]]


def test_grpc_and_rest_bodies_carry_the_same_rows():
    batches = cut_batches({"x": np.arange(4, dtype=np.float32).reshape(2, 2)}, 1)
    grpc_body, rest_body = make_grpc_bodies("m", "1-a", batches)[1], make_rest_bodies(batches)[1]
    request = messages().ModelInferRequest.FromString(grpc_body)
    assert np.frombuffer(request.raw_input_contents[0], np.float32).tolist() == [2.0, 3.0]
    assert rest_body.body[rest_body.json_size :] == request.raw_input_contents[0]
