import numpy as np
import pytest

from loadtests.judge.verdict import (
    bound_percentile,
    estimate_percentile_ms,
    holds_bound,
    is_drifting,
    is_settled,
    judge,
    misses_bound,
)
from loadtests.measure.recording import Recorder, merge_recordings
from tests.loadtests import synthetic


def list_kinds(verdict):
    return [reason.kind for reason in verdict.reasons]


def record_closed_loop(*, cpu_s=1.0, errors=0, **options):
    recording = synthetic.run_closed(lambda time_s: 0.01, **options)
    return recording.model_copy(
        update={
            "errors": {"RESOURCE_EXHAUSTED": errors} if errors else {},
            "cost": recording.cost.model_copy(update={"cpu_cores": cpu_s / 10}),
        }
    )


def test_a_steady_run_is_valid_and_supports_p99():
    verdict = judge(record_closed_loop())
    assert (verdict.valid, verdict.label, verdict.reasons, verdict.percentile) == (True, "VALID", (), 99.0)
    assert verdict.estimate_ms == pytest.approx(10, rel=1e-2)


def test_errors_invalidate_and_count_as_slower_than_any_answer():
    recording = record_closed_loop(errors=30)
    verdict = judge(recording)
    assert [str(reason.text) for reason in verdict.reasons] == ["30 of 1031 requests failed (RESOURCE_EXHAUSTED 30)"]
    assert recording.find_percentile_ms(97) == pytest.approx(10, rel=1e-2)
    assert recording.find_percentile_ms(99) is None
    assert estimate_percentile_ms(recording, 99) is None


def test_too_few_requests_invalidate():
    verdict = judge(record_closed_loop(length_s=0.5))
    assert verdict.reasons[0].text == "50 requests, p90 needs 64"
    assert verdict.percentile is None


def test_throughput_needs_no_percentile_but_a_mean():
    batches = synthetic.run_closed(lambda time_s: 0.25)
    assert judge(batches, needs_percentile=False).valid
    assert list_kinds(judge(batches)) == ["too few requests"]
    few = synthetic.run_closed(lambda time_s: 1.0)
    assert judge(few, needs_percentile=False).reasons[0].text == "10 requests, a mean needs 20"


def test_noise_that_hides_the_mean_invalidates_and_says_how_well_it_is_known():
    noise = np.random.default_rng(2).lognormal(0, 0.6, 11)
    verdict = judge(synthetic.run_closed(lambda time_s: 0.01 * noise[int(time_s)]))
    assert list_kinds(verdict) == ["too noisy"]
    assert "mean latency known within ±" in verdict.reasons[0].text


def test_noise_within_the_windows_does_not_matter_where_the_mean_is_known():
    random = np.random.default_rng(2)
    assert judge(synthetic.run_closed(lambda time_s: 0.01 * random.lognormal(0, 0.6))).valid


def test_a_latency_that_grows_is_drifting():
    verdict = judge(synthetic.run_closed(lambda time_s: 0.01 * (1 + time_s / 10)))
    assert list_kinds(verdict) == ["drifting"]
    assert "latency grew by 3" in verdict.reasons[0].text  # 10 ms to 20 ms: the halves differ by a third of the mean


def test_a_saturated_generator_invalidates():
    assert list_kinds(judge(record_closed_loop(cpu_s=9.8))) == ["generator limits"]


def test_two_half_busy_generators_are_not_saturated():
    merged = merge_recordings([record_closed_loop(cpu_s=6.0), record_closed_loop(cpu_s=6.0)])
    assert merged.cost.cpu_cores == pytest.approx(1.2)
    assert (merged.requests, merged.requests_per_s) == (2002, 200.2)
    assert judge(merged).valid


def test_late_sends_invalidate_and_are_counted():
    recording = synthetic.run(synthetic.serve_in(0.01), rate=100, late_s=0.005).recording
    assert recording.cost.late_share == 1.0
    (reason,) = judge(recording, bound_ms=50.0).reasons
    assert reason.text == "requests left 5.00 ms late on average, of 15.00 ms latency"


def test_sends_that_are_late_because_the_system_woke_the_generator_late_are_called_the_hosts():
    recording = synthetic.run(synthetic.serve_in(0.01), rate=20, late_s=0.005, overslept_s=0.0048).recording
    (reason,) = judge(recording, bound_ms=50.0).reasons
    assert reason.kind == "host limits"
    assert reason.text.startswith("requests left 5.00 ms late on average, of 15.00 ms latency: the system let")
    assert recording.cost.own_late_mean_ms == pytest.approx(0.2, rel=0.05)


def test_what_waits_for_the_generators_own_work_is_its_own_lateness():
    recorder = Recorder(started=0.0)
    for due_s, turned_s, sent_s in [(0.0, 0.0, 0.004), (0.001, 0.004, 0.008), (0.1, 0.103, 0.104)]:
        recorder.record_scheduled(due_s, sent_s, sent_s + 0.001, turned_s=turned_s)
    # 4 and 7 ms, and 1 ms without having slept too long.
    assert recorder.finish(duration_s=1.0, cpu_s=0.0).cost.own_late_mean_ms == pytest.approx(4.0)


def test_latency_counts_from_the_schedule():
    recording = synthetic.run(synthetic.serve_in(0.01), rate=100, late_s=0.005).recording
    uncorrected = recording.model_copy(update={"corrected": None})
    assert recording.find_percentile_ms(99) == pytest.approx(15, rel=1e-2)
    assert uncorrected.find_percentile_ms(99) == pytest.approx(10, rel=1e-2)


def test_a_bound_is_held_missed_or_not_decided():
    def answer(over_share):
        slow = np.random.default_rng(4).random(10_000) < over_share
        return lambda arrivals: (arrivals + np.where(slow[: len(arrivals)], 0.2, 0.01), [""] * len(arrivals))

    held, undecided, missed = (
        synthetic.run(answer(share), rate=50, length_s=20).recording for share in (0.0, 0.01, 0.05)
    )
    assert holds_bound(held, 50.0)
    assert not holds_bound(undecided, 50.0)
    assert not misses_bound(undecided, 50.0)
    assert holds_bound(undecided, 250.0)
    assert misses_bound(missed, 50.0)
    assert list_kinds(judge(undecided, bound_ms=50.0)) == ["not decided"]
    assert judge(held, bound_ms=50.0).valid
    assert judge(missed, bound_ms=50.0).valid  # shown to be too slow, not too short to judge


def test_errors_count_as_over_the_bound():
    assert holds_bound(record_closed_loop(), 50.0)
    assert not holds_bound(record_closed_loop(errors=20), 50.0)


def test_short_runs_are_held_to_p90():
    recording = record_closed_loop(length_s=2.0)
    assert bound_percentile(recording) == 90.0
    assert holds_bound(recording, 50.0)


@pytest.mark.parametrize(
    ("means", "settled"),
    [
        ([10.0, 10.2, 9.9, 10.1] * 3, True),
        ([10.0, 14.0, 8.0, 12.0] * 3, False),  # known within ±14 % only
        ([10.0, 10.1] * 3 + [11.6, 11.7] * 3, False),  # known well, but wanders
        ([10.0, 0.0], False),
    ],
)
def test_a_run_is_settled_when_its_mean_is_known_and_does_not_wander(means, settled):
    assert is_settled(means, 0.1) is settled


def watch_queue(load, *, length_s, slower=1.0, exponential=False, num_runs=40):
    """Windows' means of runs against a server that takes 10 ms for each request, and longer from half of the run on."""
    for seed in range(num_runs):
        random = np.random.default_rng(seed)
        arrivals = synthetic.draw_arrivals(100 * load, 20 + length_s, seed)
        times_s = 0.01 * (random.exponential(1.0, len(arrivals)) if exponential else np.ones(len(arrivals)))
        times_s[arrivals > 20 + length_s / 2] *= slower
        recorder = Recorder(started=0.0, warm_up_s=20.0)
        for arrival_s, finished_s in zip(arrivals, synthetic.serve_in_turn(arrivals, times_s), strict=True):
            recorder.record_scheduled(arrival_s, arrival_s, finished_s)
        yield recorder.find_means_ms(length_s)


@pytest.mark.parametrize("exponential", [False, True])
@pytest.mark.parametrize("load", [0.3, 0.6, 0.8, 0.95])
def test_a_queue_that_wanders_by_nature_is_not_called_drifting(load, exponential):
    # 5 % of 40, and what chance adds to it in 95 of 100 tests.
    assert sum(map(is_drifting, watch_queue(load, length_s=10, exponential=exponential))) <= 4


@pytest.mark.parametrize("load", [0.3, 0.5, 0.8, 0.95])
def test_a_server_that_becomes_a_fifth_slower_is_not_settled(load):
    runs = list(watch_queue(load, length_s=30, slower=1.2, num_runs=20))
    assert not any(is_settled(means, 0.1) for means in runs)
    if load <= 0.5:  # nearer to its capacity a queue hides what the server does
        assert sum(map(is_drifting, runs)) >= 18
