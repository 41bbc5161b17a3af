import pytest

from loadtests.capacity.certifying import CertifyError, read_batch_times
from loadtests.capacity.checking import Check
from loadtests.capacity.queueing import Waits
from loadtests.measure.metrics import Metrics, Series
from loadtests.measure.recording import Recorder

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


@pytest.mark.parametrize(("predicted", "reached"), [(8.1, True), (11.9, True), (12.1, False), (7.9, False)])
def test_a_prediction_reaches_the_bar_within_a_fifth_at_the_pace_of_each_round(predicted, reached):
    waits = Waits(queue_ms=3, answer_ms=predicted, answer_p99_ms=30, rows_per_batch=4)
    # The second round ran on a machine that was half as fast, the third was disturbed.
    measured = {"queue_ms": (2, 4, 9), "answer_ms": (10.0, 20.0, 50.0)}
    check = Check(load=0.5, rates=(100, 50, 100), paces=(1, 2, 1), predicted=waits, **measured)
    assert check.reached is reached
    assert (check.ratio, check.queue_ratio) == (pytest.approx(predicted / 10), 1.5)
