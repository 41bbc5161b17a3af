"""The rendered autoscaler, simulated: its arithmetic, its bars, and the pictures that tell of them."""

import copy
import math
import re

import pytest

from k8s.scaling import WAITING
from k8s.settings import ROOM
from k8s.simulation.autoscaler import Autoscaler
from k8s.simulation.command import read_pod, read_rendered
from k8s.simulation.picture import draw
from k8s.simulation.queries import Sample, evaluate
from k8s.simulation.run import Result, simulate
from k8s.simulation.traces import TRACES, read_trace

SLO_S = 0.25
PANEL_TOP = 28 + 4 * (90 + 16)  # of the fifth
MODEL = "classifier"


@pytest.fixture(scope="module")
def scaled_object():
    """As it is rendered, with the most pods that it has."""
    scaled_object, _ = read_rendered(ROOM / "models", MODEL)
    return scaled_object


@pytest.fixture(scope="module")
def large(scaled_object):
    large = copy.deepcopy(scaled_object)
    large["spec"]["maxReplicaCount"] = 30
    return large


@pytest.fixture(scope="module")
def pod():
    return read_pod(read_rendered(ROOM / "models", MODEL)[1], start_s=30)


@pytest.fixture(scope="module")
def base(scaled_object):
    return 2 * float(scaled_object["spec"]["triggers"][1]["metadata"]["threshold"])


@pytest.fixture(scope="module")
def run(scaled_object, pod, base):
    results: dict[str, Result] = {}

    def run(name):
        if name not in results:
            results[name] = simulate(TRACES[name](base), scaled_object, pod, replicas=2)
        return results[name]

    return run


def test_after_a_spike_p99_is_back_within_two_minutes(run, pod):
    spike = run("spike")
    assert spike.recovery_s(600, SLO_S) <= 120
    assert max(spike.p99_s[: 600 // 10]) <= SLO_S
    assert spike.replicas[-1] <= 3


def test_a_day_turns_once_up_and_once_down_and_is_never_late(run):
    day = run("diurnal")
    assert day.num_direction_changes <= 2
    assert max(day.p99_s) <= SLO_S
    assert (min(day.replicas), max(day.replicas), day.refused_rows) == (2, 8, 0)


def test_without_rows_per_second_the_day_is_late(scaled_object, pod, base):
    """Waiting rows alone let the fleet shrink until it breaks: why there are two triggers."""
    alone = copy.deepcopy(scaled_object)
    del alone["spec"]["triggers"][1]
    day = simulate(TRACES["diurnal"](base), alone, pod, replicas=2)
    assert day.num_direction_changes > 2
    assert max(day.p99_s) > SLO_S


@pytest.mark.parametrize("name", ["spike", "diurnal"])
def test_committed_pictures_show_what_is_rendered(run, base, name):
    picture = draw(f"{MODEL}, {name}", TRACES[name](base), run(name), SLO_S)
    assert (ROOM / "scaling" / f"{name}.svg").read_text() == picture


def test_a_picture_shows_what_it_cost_beside_the_most_pods_all_the_time():
    result = Result(replicas=[2] * 1800 + [4] * 1800, waiting_rows=[0.0] * 3600, p99_s=[0.1] * 360)
    priced = draw("a fleet", [1.0] * 3600, result, SLO_S, 0.5)
    assert ">cost</text>" in priced
    # 4 pods for an hour are 2, what was there is 1.5: a quarter below the dashed line.
    (line,) = re.findall(r'<polyline points="([^"]+)"', priced)[-1:]
    assert line.split()[-1].endswith(f",{PANEL_TOP + 90 * 0.25:.0f}")
    assert ">pod hours</text>" in draw("a fleet", [1.0] * 3600, result, SLO_S)


def samples(*steps, slots=2.0):
    return [
        Sample(
            15 * number,
            {
                "millrace_waiting_rows": waiting,
                "millrace_slots": [slots] * len(waiting),
                "millrace_batch_rows_sum": answered,
            },
        )
        for number, (waiting, answered) in enumerate(steps)
    ]


def test_rows_wait_for_the_slots_of_all_pods_however_these_are_shared_out():
    seen = [
        Sample(0, {"millrace_waiting_rows": waiting, "millrace_slots": slots})
        for waiting, slots in (([50, 0], [1, 4]), ([10, 40], [1, 4]), ([0, 50], [4, 1]))
    ]
    by_pods = [evaluate(WAITING.format('model="a"'), [sample]) / 2 for sample in seen]
    assert by_pods == [10, 10, 10]


def test_evaluates_the_queries_as_prometheus_does():
    seen = samples(([0, 0], [100, 0]), ([30, 10], [250, 300]), ([60, 20], [400, 600]))
    assert evaluate('sum(millrace_waiting_rows{model="a"}) / avg(millrace_slots{model="a"})', seen) == 40
    assert evaluate('sum(rate(millrace_batch_rows_sum{model="a"}[1m]))', seen) == 10 + 20
    assert evaluate('sum(rate(millrace_batch_rows_sum{model="a"}[1m])) or vector(0)', seen) == 10 + 20


@pytest.mark.parametrize(
    "query", ["max(millrace_slots{})", "sum(millrace_batch_rows_sum{}[1m])", "sum(a{}) / sum(b{}) / sum(c{})"]
)
def test_refuses_a_query_that_it_cannot_simulate(query):
    with pytest.raises(ValueError, match="cannot simulate"):
        evaluate(query, samples(([0], [0])))


def decide(scaled_object, current, rows_per_s, now_s=600.0, scaler=None):
    """Ask for a decision at a steady rate, all pods together."""
    answered = rows_per_s / current
    seen = samples(*(([0.0] * current, [15 * step * answered] * current) for step in range(4)), slots=1.0)
    return (scaler or Autoscaler(scaled_object)).decide(now_s, current, seen)


def test_follows_the_larger_wish_within_tolerance_and_policies(large):
    target = float(large["spec"]["triggers"][1]["metadata"]["threshold"])
    assert decide(large, 4, 4.3 * target) == 4  # within ten percent
    assert decide(large, 4, 5.1 * target) == 6
    assert decide(large, 6, 20 * target) == 12  # twice as many, or four more
    assert decide(large, 2, 20 * target) == 6
    assert decide(large, 30, 100 * target) == 30


def test_goes_down_only_after_the_window_and_by_a_quarter_a_minute(scaled_object):
    target = float(scaled_object["spec"]["triggers"][1]["metadata"]["threshold"])
    scaler = Autoscaler(scaled_object)
    assert decide(scaled_object, 8, 8 * target, 0.0, scaler) == 8
    assert decide(scaled_object, 8, 2 * target, 590.0, scaler) == 8
    assert decide(scaled_object, 8, 2 * target, 605.0, scaler) == 6
    assert decide(scaled_object, 6, 2 * target, 620.0, scaler) == 6
    assert decide(scaled_object, 6, 2 * target, 666.0, scaler) == 4


def test_recovery_is_never_where_it_never_comes():
    assert Result(p99_s=[0.1, 0.9, 0.9]).recovery_s(10, SLO_S) == math.inf


def test_reads_a_recorded_trace(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("0,10\n3,20\n5,0\n")
    assert read_trace(path) == [10, 10, 10, 20, 20]
    path.write_text("0,10\n0,20\n")
    with pytest.raises(ValueError, match="rising seconds"):
        read_trace(path)
