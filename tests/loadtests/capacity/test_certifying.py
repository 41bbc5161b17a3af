from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from loadtests.capacity import command
from loadtests.capacity.batch_times import find_pace, read_batch_times
from loadtests.capacity.checking import Check, Compared, advise
from loadtests.capacity.levels import CertifyError, find_capacity
from loadtests.capacity.queueing import Waits
from loadtests.cli import app
from loadtests.measure.metrics import Metrics, Series
from loadtests.measure.neighbours import Neighbour, Neighbours
from loadtests.measure.recording import Recorder
from model_store.certificate import BatchTime

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
    # Two calls in each half second.
    assert large.deviation_s == pytest.approx((0.0176 / 20 - 0.04**2 / 2) ** 0.5)


def test_a_machine_that_becomes_slower_makes_no_deviation_between_calls():
    # 40 calls of 10 ms, then 40 of 30 ms.
    labels, values = (
        {"model": "net", "version": "1-int8", "rows": "8"},
        ((40, 80), (240, 480), (0.4, 1.6), (0.004, 0.04)),
    )
    metrics = Metrics(
        [
            Series(f"millrace_batches{part}_total", labels, (100.0, 105.0, 110.0), (0.0, *value))
            for part, value in zip(PARTS, values, strict=True)
        ],
        "by hand",
    )
    (found,) = read_batch_times(metrics, [recording()], "net", "1-int8")
    assert (found.seconds, found.deviation_s) == (pytest.approx(0.02), pytest.approx(0, abs=1e-6))


def test_of_batches_longer_than_between_scrapes_the_deviation_is_that_of_all():
    metrics = Metrics(series("8", 10, 60, 9, 8.5), "by hand")
    (found,) = read_batch_times(metrics, [recording()], "net", "1-int8")
    assert found.deviation_s == pytest.approx(((8.5 - 9**2 / 10) / 9) ** 0.5)


def test_sizes_that_were_rarely_seen_are_left_out():
    metrics = Metrics([*series("8", 10, 60, 0.1, 0.001), *series("64", 2, 120, 0.1, 0.005)], "by hand")
    assert [time.rows for time in read_batch_times(metrics, [recording()], "net", "1-int8")] == [pytest.approx(6)]
    with pytest.raises(CertifyError, match="too few batches"):
        read_batch_times(metrics, [recording(length_s=0.5)], "net", "1-int8")


def test_the_pace_is_that_of_batches_of_the_same_sizes():
    labels = {"model": "net", "version": "1-int8"}
    certified = [
        BatchTime(rows=rows, seconds=seconds, deviation_s=0, calls=9) for rows, seconds in ((6, 0.01), (16, 0.02))
    ]
    metrics = Metrics([*series("8", 10, 60, 0.2, 0.004), *series("16", 10, 160, 0.2, 0.004)], "by hand")
    # Within ten seconds ten of 6 rows took twice as long as certified, ten of 16 rows as long.
    assert find_pace(metrics, certified, 100, 110, **labels) == pytest.approx(0.4 / 0.3)
    assert find_pace(metrics, certified, 90, 100, **labels) is None


def make_check(*pairs, look_pace=1):
    """Slices with these waits to the answer, predicted and measured, and looks that show this pace."""
    certified = Waits(queue_ms=5, answer_ms=10, answer_p99_ms=30, rows_per_batch=4)
    slices = [
        Compared(
            rate=100,
            pace=1,
            look_pace=look_pace,
            predicted_queue_ms=predicted / 2,
            predicted_answer_ms=predicted,
            queue_ms=measured / 4,
            answer_ms=measured,
        )
        for predicted, measured in pairs
    ]
    return Check(load=0.5, certified=certified, slices=slices)


@pytest.mark.parametrize(
    ("pairs", "outcome"),
    [
        # The last one ran on a machine that was half as fast, and was predicted at that pace.
        ([(10, 10), (9, 10), (11, 10), (21, 20)], "reached"),
        ([(13, 10), (13.5, 10), (14, 10), (27, 20)], "missed"),
        ([(7, 10), (6, 10), (7, 10), (14, 20)], "missed"),
        ([(12, 10), (11, 10), (13, 10), (24, 20)], "too noisy to tell"),
        ([(10, 10), (10, 90), (10, 10), (10, 10)], "too noisy to tell"),
        ([(10, 10), (10, 10)], "too noisy to tell"),
    ],
)
def test_a_prediction_reaches_the_bar_where_all_of_its_interval_is_within_a_fifth(pairs, outcome):
    assert make_check(*pairs).outcome == outcome


@pytest.mark.parametrize(("look_pace", "outcome"), [(1.1, "reached"), (0.7, "missed"), (1.3, "missed")])
def test_batches_too_have_to_take_as_long_as_saturated_ones_lead_one_to_expect(look_pace, outcome):
    assert make_check(*[(10, 10)] * 3, look_pace=look_pace).outcome == outcome


def test_slices_are_compared_by_the_sums_of_their_waits():
    check = make_check((10, 10), (10, 20), (30, 20))
    assert (check.answers.ratio, check.queues.ratio) == (pytest.approx(1), pytest.approx(2))
    assert check.answers.high - check.answers.low == pytest.approx(2 * 4.303 * (1.5 * 200) ** 0.5 / 50, rel=1e-3)


@pytest.mark.parametrize(("pairs", "status"), [([(10, 10)] * 3, 0), ([(20, 10)] * 3, 1), ([(10, 10)], 2)])
def test_a_check_exits_with_its_outcome_and_says_who_else_was_busy(pairs, status, store, monkeypatch):
    @contextmanager
    def watch():
        yield lambda: Neighbours(cores=1.5, stolen_cores=0.0, named=(Neighbour(name="compiler", cores=1.4),))

    monkeypatch.setattr(command, "watch_neighbours", watch)
    monkeypatch.setattr(command, "_find", lambda *given: None)
    monkeypatch.setattr(command, "check_certificate", lambda *given, **more: [make_check(*pairs)])
    done = CliRunner().invoke(app, ["certify", "double", "--check", "--store", str(store.root)])
    assert done.exit_code == status
    assert "Meanwhile others kept 1.5 cores busy (compiler 1.4)." in done.output


def test_noise_comes_with_the_rounds_that_would_be_enough_for_it():
    check = make_check((11, 10), (8, 10), (12, 10), (9, 10))
    assert check.outcome == "too noisy to tell"
    # Half of its interval is 0.291, and a fifth is left: (0.291 / 0.2)² times as many slices, three in a round.
    assert check.slices_needed == 9
    assert advise([check, make_check(*[(10, 10)] * 3)]) == (
        "Too noisy to tell at 0.5 of the capacity: at this noise `--rounds 3` would give a verdict, on a quiet machine "
        "fewer."
    )
    for hopeless in (make_check((12, 10), (12.1, 10), (11.9, 10)), make_check((10, 10))):
        assert "more rounds would hardly help" in advise([check, hopeless])
    assert advise([make_check(*[(10, 10)] * 3)]) == ""


def test_the_rate_of_a_look_is_that_of_its_middle():
    recorder = Recorder(started=0.0)
    for number in range(1000):  # 500/s, after a generator took a fifth of a second to start
        recorder.record(0.2 + number / 500, 0.01)
    recording = recorder.finish(duration_s=2.2, cpu_s=1.0)
    assert recording.rows_per_s < 460
    assert find_capacity(recording) == pytest.approx(500, rel=0.01)
