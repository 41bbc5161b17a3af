import pytest

from loadtests.bench.ceiling import CeilingError
from loadtests.bench.h2load import run_h2load

REPORT = """finished in 2.00s, 50.00 req/s, 10KB/s
requests: 100 total, 100 started, 100 done, {succeeded} succeeded, {failed} failed, {errored} errored, 0 timeout
status codes: {ok} 2xx, 0 3xx, 0 4xx, {broken} 5xx
time for request:     7.69ms     16.29ms     10.91ms      4.69ms    66.67%
"""


@pytest.fixture
def h2load(tmp_path, monkeypatch):
    """Stand in for h2load: prints a report, and keeps how it was called."""

    def report(**counts):
        text = REPORT.format(**{"succeeded": 0, "failed": 0, "errored": 0, "ok": 0, "broken": 0} | counts)
        (tmp_path / "report").write_text(text)
        program = tmp_path / "h2load"
        program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\ncat {tmp_path}/report\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return tmp_path / "called"

    return report


def call(tmp_path, **options):
    return run_h2load("127.0.0.1:9", "/infer", tmp_path / "body", callers=4, duration_s=1.0, **options)


def test_posts_a_grpc_call_unless_told_otherwise(h2load, tmp_path):
    called = h2load(succeeded=100, ok=100)
    result = call(tmp_path)
    assert (result.requests_per_s, result.mean_ms) == (50.0, 10.91)
    assert "content-type: application/grpc" in called.read_text()
    assert "--h1" not in called.read_text()
    call(tmp_path, headers=("Content-Type: a/b",), http1=True)
    assert "-H Content-Type: a/b --h1 http://127.0.0.1:9/infer" in called.read_text()


@pytest.mark.parametrize(
    "counts", [{"failed": 1, "ok": 99, "broken": 1}, {"errored": 2, "ok": 98}, {"failed": 100, "broken": 100}]
)
def test_failed_calls_are_no_figures(h2load, tmp_path, counts):
    h2load(**counts)
    with pytest.raises(CeilingError, match=r"calls to 127\.0\.0\.1:9 failed"):
        call(tmp_path, http1=True)


def test_answers_whose_status_h2load_cannot_read_count(h2load, tmp_path):
    h2load(failed=100)  # a status line without a reason, as TorchServe's
    assert call(tmp_path, http1=True).requests_per_s == 50.0
    with pytest.raises(CeilingError, match="failed"):
        call(tmp_path)
