from io import StringIO

import pytest
from rich.console import Console

from loadtests.bench.hot_path import DOOR, JAVA, WORKERS, _compare, make_table

MEANS = {"request_seconds": 2e-3, "queue_seconds": 4e-4, "backend_seconds": 1e-3, "batch_rows": 8.0}


def totals(num_calls, **busy_s):
    histograms = {}
    for name, mean in MEANS.items():
        count = num_calls / 8 if name in ("backend_seconds", "batch_rows") else num_calls
        histograms |= {f"millrace_{name}_sum": mean * count, f"millrace_{name}_count": count}
    return histograms | {DOOR: 0.0, JAVA: 0.0, WORKERS: 0.0} | busy_s


def test_the_parts_of_a_call_add_up_to_what_its_caller_waits():
    before, after = totals(80), totals(880, **{DOOR: 0.08, JAVA: 0.04, WORKERS: 0.02})
    path = _compare(before, after, waited_us=2500.0, calls_per_s=400.0)
    assert (path.core_us, path.queue_us, path.batch_us) == (
        pytest.approx(2000),
        pytest.approx(400),
        pytest.approx(1000),
    )
    assert path.rows_per_batch == pytest.approx(8)
    assert path.busy_us == {DOOR: pytest.approx(100), JAVA: pytest.approx(50), WORKERS: pytest.approx(25)}
    output = StringIO()
    Console(file=output, width=100).print(make_table({64: [path]}))
    lines = [line.strip("│┃ ") for line in output.getvalue().splitlines() if "µs" in line or "for" in line]
    shown = {line.rpartition("│")[0].strip(): float(line.rpartition("│")[2].replace(",", "")) for line in lines}
    assert shown["a caller waits, µs"] == 2500
    assert shown["for sockets, HTTP/2 and messages"] == 500
    assert shown["for validation and the event loop"] == 600
    assert shown["processor time a call, µs"] == 175
