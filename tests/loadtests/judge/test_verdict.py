import pytest

from loadtests.judge.verdict import bound_percentile, estimate_percentile_ms, holds_bound, judge
from loadtests.measure.recording import Recorder, merge_recordings


def record_closed_loop(num=1000, latency_s=0.01, cpu_s=1.0, errors=0, times=None):
    recorder = Recorder(started=0.0, duration_s=10.0, num_windows=5)
    for index in range(num):
        recorder.record(times[index] if times else 10.0 * index / num, latency_s)
    for _ in range(errors):
        recorder.record_error("RESOURCE_EXHAUSTED")
    return recorder.finish(duration_s=10.0, cpu_s=cpu_s)


def record_open_loop(late_s=0.0, num=1000, service_s=0.01):
    recorder = Recorder(started=0.0, duration_s=10.0, num_windows=5)
    for index in range(num):
        scheduled_s = 10.0 * index / num
        recorder.record_scheduled(scheduled_s, scheduled_s + late_s, scheduled_s + late_s + service_s)
    return recorder.finish(duration_s=10.0, cpu_s=1.0)


def test_a_steady_run_is_valid_and_supports_p99():
    verdict = judge(record_closed_loop())
    assert verdict.valid
    assert (verdict.label, verdict.reasons, verdict.percentile) == ("VALID", (), 99.0)
    assert verdict.estimate_ms == pytest.approx(10, rel=1e-2)


def test_errors_invalidate():
    verdict = judge(record_closed_loop(errors=3))
    assert not verdict.valid
    assert verdict.reasons == ("errors: 3 of 1003 requests failed (RESOURCE_EXHAUSTED 3)",)


def test_too_few_requests_invalidate():
    verdict = judge(record_closed_loop(num=50))
    assert verdict.reasons[0] == "too few: 50 requests, p90 needs 64"
    assert verdict.percentile is None


def test_too_few_in_a_window_is_too_short():
    recorder = Recorder(started=0.0, duration_s=10.0, num_windows=10)
    for index in range(70):
        recorder.record(index / 7, 0.01)
    reasons = judge(recorder.finish(duration_s=10.0, cpu_s=1.0)).reasons
    assert reasons[0] == "too short: a window holds 7 requests, 10 are needed to see a trend"


def test_a_falling_throughput_is_unstable():
    times = [8 * index / 900 for index in range(900)] + [8 + 2 * index / 100 for index in range(100)]
    verdict = judge(record_closed_loop(times=times))
    assert verdict.reasons[0].startswith("unstable: throughput differs")


def test_a_growing_latency_is_unstable():
    recorder = Recorder(started=0.0, duration_s=10.0, num_windows=5)
    for index in range(1000):
        recorder.record(index / 100, 0.01 + index / 1e5)
    assert judge(recorder.finish(duration_s=10.0, cpu_s=1.0)).reasons[0].startswith("unstable: latency differs")


def test_a_saturated_generator_invalidates():
    assert judge(record_closed_loop(cpu_s=9.8)).reasons == ("generator saturated: 0.98 cores busy in 1 process(es)",)


def test_two_half_busy_generators_are_not_saturated():
    merged = merge_recordings([record_closed_loop(cpu_s=6.0), record_closed_loop(cpu_s=6.0)])
    assert merged.cost.cpu_cores == pytest.approx(1.2)
    assert (merged.requests, merged.requests_per_s) == (2000, 200.0)
    assert judge(merged).valid


def test_late_sends_invalidate_and_are_counted():
    recording = record_open_loop(late_s=0.005)
    assert recording.cost.late_share == 1.0
    assert judge(recording).reasons == ("generator late: requests left 5.00 ms late on average, of 15.00 ms latency",)


def test_latency_counts_from_the_schedule():
    recording = record_open_loop(late_s=0.005)
    uncorrected = recording.model_copy(update={"corrected": None})
    assert recording.latencies().find_percentile_ms(99) == pytest.approx(15, rel=1e-2)
    assert uncorrected.latencies().find_percentile_ms(99) == pytest.approx(10, rel=1e-2)


def test_poisson_windows_are_compared_with_what_was_scheduled():
    recorder = Recorder(started=0.0, duration_s=10.0, num_windows=5)
    for window, count in enumerate((100, 100, 60, 140, 90)):
        for index in range(count):
            time_s = 2 * window + 1.9 * index / count
            recorder.record_scheduled(time_s, time_s, time_s + 0.01)
    assert judge(recorder.finish(duration_s=10.0, cpu_s=1.0)).valid


def test_a_bound_needs_enough_requests_below_it():
    recorder = Recorder(started=0.0, duration_s=10.0, num_windows=5)
    for index in range(1000):
        recorder.record_scheduled(index / 100, index / 100, index / 100 + (0.2 if index % 250 == 0 else 0.01))
    recording = recorder.finish(duration_s=10.0, cpu_s=1.0)  # 4 of 1000 over 50 ms
    assert bound_percentile(recording) == 99.0
    assert not holds_bound(recording, 50.0)  # 4 over need more than 1000 requests
    assert holds_bound(recording, 250.0)
    assert estimate_percentile_ms(recording, 99.0) == pytest.approx(200, rel=1e-2)


def test_errors_count_as_over_the_bound():
    assert holds_bound(record_closed_loop(num=1000), 50.0)
    assert not holds_bound(record_closed_loop(num=1000, errors=20), 50.0)


def test_short_runs_are_held_to_p90():
    recording = record_closed_loop(num=200)
    assert bound_percentile(recording) == 90.0
    assert holds_bound(recording, 50.0)
