import pytest

from loadtests.capacity.certifying import CertifyError, read_batch_times
from loadtests.capacity.checking import Check, Round, predict_at
from loadtests.capacity.queueing import Waits
from loadtests.measure.metrics import Metrics, Series
from loadtests.measure.recording import Recorder
from tests import builders

PARTS = ("", "_rows", "_seconds", "_squared_seconds")


def series(rows, *values, version="1-int8"):
    labels = {"model": "net", "version": version, "rows": rows}
    return [
        Series(f"millrace_batches{part}_total", labels, (100.0, 110.0, 120.0), (0.0, value, 5 * value))
        for part, value in zip(PARTS, values, strict=True)
    ]


def recording(started=100.0, length_s=10.0):
    return Recorder(started=started).finish(duration_s=length_s, cpu_s=1.0)


def test_batch_times_are_means_and_deviations_by_size_during_the_runs_only():
    metrics = Metrics(
        [
            *series("16", 40, 500, 0.8, 0.0176),
            *series("8", 10, 60, 0.1, 0.001),
            *series("8", 99, 99, 9, 9, version="2"),
        ],
        "by hand",
    )
    small, large = read_batch_times(metrics, [recording()], "net", "1-int8")
    assert (small.rows, small.seconds, small.calls) == (pytest.approx(6), pytest.approx(0.01), 10)
    assert small.deviation_s == pytest.approx(0, abs=1e-6)
    assert (large.rows, large.seconds, large.calls) == (pytest.approx(12.5), pytest.approx(0.02), 40)
    assert large.deviation_s == pytest.approx((0.0176 / 40 - 0.02**2) ** 0.5)


def test_sizes_that_were_rarely_seen_are_left_out():
    metrics = Metrics([*series("8", 10, 60, 0.1, 0.001), *series("64", 2, 120, 0.1, 0.005)], "by hand")
    assert [time.rows for time in read_batch_times(metrics, [recording()], "net", "1-int8")] == [pytest.approx(6)]
    with pytest.raises(CertifyError, match="too few batches"):
        read_batch_times(metrics, [recording(length_s=0.5)], "net", "1-int8")


def make_round(*predicted_ms, answer_ms):
    waits = [ms and Waits(queue_ms=ms / 2, answer_ms=ms, answer_p99_ms=30, rows_per_batch=4) for ms in predicted_ms]
    return Round(rate=100, paces=(1, 1), predicted=waits, queue_ms=answer_ms / 4, answer_ms=answer_ms)


def make_check(*rounds):
    certified = Waits(queue_ms=5, answer_ms=10, answer_p99_ms=30, rows_per_batch=4)
    return Check(load=0.5, certified=certified, rounds=rounds)


@pytest.mark.parametrize(
    ("predicted", "outcome"), [(8.1, "reached"), (11.9, "reached"), (12.1, "missed"), (7.9, "missed")]
)
def test_a_prediction_reaches_the_bar_within_a_fifth_at_the_pace_of_each_round(predicted, outcome):
    # The second round ran on a machine that was half as fast, the third was disturbed.
    check = make_check(
        make_round(predicted, predicted, answer_ms=10),
        make_round(1.9 * predicted, 2.1 * predicted, answer_ms=20),
        make_round(predicted, predicted, answer_ms=50),
    )
    assert check.outcome == outcome
    assert (check.ratio, check.queue_ratio) == (pytest.approx(predicted / 10), pytest.approx(predicted / 5))


def test_rounds_in_which_the_pace_moved_tell_nothing():
    steady, moved, overrun = (
        make_round(10, 10, answer_ms=10),
        make_round(10, 13, answer_ms=10),
        make_round(10, None, answer_ms=90),
    )
    assert make_check(steady, steady, overrun).outcome == "reached"
    assert make_check(steady, moved, overrun).outcome == "too noisy to tell"
    assert make_check(moved).ratio is None


def test_waits_follow_the_pace_and_grow_without_end_where_it_is_too_slow(store):
    certificate = builders.make_certificate(store.open("double", 1))
    capacity = certificate.saturated_rows_per_s
    as_certified, half_as_fast = (
        predict_at(certificate, 8, share * capacity / 2, share * capacity) for share in (1, 0.5)
    )
    assert half_as_fast.answer_ms == pytest.approx(2 * as_certified.answer_ms)
    assert half_as_fast.rows_per_batch == as_certified.rows_per_batch
    assert predict_at(certificate, 8, capacity, capacity) is None
