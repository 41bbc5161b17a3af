import json
import shutil
from http.server import BaseHTTPRequestHandler

import pytest

from loadtests.bench.ceiling import CeilingError
from loadtests.bench.rest_ceiling import run_rest_load
from loadtests.bench.wrk import run_wrk
from tests.loadtests.conftest import run_http_server

COUNTS = {"requests": 100, "duration_us": 2_000_000, "mean_us": 10_910.0}
COUNTS |= {"statuses": 0, "connections": 0, "timeouts": 0}


@pytest.fixture
def generators(tmp_path, monkeypatch):
    """Stand in for the generators that are named: each prints what it is given, and keeps how it was called."""

    def stand_in(**said):
        for name, text in said.items():
            (tmp_path / f"{name}.said").write_text(text)
            program = tmp_path / name
            program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/{name}.called\n/bin/cat {tmp_path}/{name}.said\n')
            program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path

    return stand_in


def call(run, tmp_path, address="127.0.0.1:9", **changes):
    how = {"callers": 4, "duration_s": 2.0, "headers": ("Content-Type: a/b",)}
    return run(address, "/infer", tmp_path / "body", **how | changes)


def test_posts_the_body_from_as_many_connections_and_reads_figures(generators):
    folder = generators(wrk="Running 2s test\n" + json.dumps(COUNTS))
    result = call(run_wrk, folder)
    assert (result.requests_per_s, result.mean_ms) == (50.0, 10.91)
    called = (folder / "wrk.called").read_text()
    assert "-c 4 -d 2s" in called
    assert f"http://127.0.0.1:9/infer -- {folder / 'body'} Content-Type: a/b" in called


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ({"statuses": 3}, "3 by statuses, of 100 answered"),
        ({"connections": 1, "timeouts": 2}, "1 by connections, 2 by timeouts"),
        ({"requests": 0}, "wrk had no answer in 2 s"),
    ],
)
def test_failed_calls_are_no_figures(generators, counts, named):
    folder = generators(wrk=json.dumps(COUNTS | counts))
    with pytest.raises(CeilingError, match=rf"calls to 127\.0\.0\.1:9 failed: {named}"):
        call(run_wrk, folder)


def test_what_it_says_instead_of_figures_is_shown(generators):
    folder = generators(wrk="unable to connect")
    with pytest.raises(CeilingError, match=r"wrk against 127\.0\.0\.1:9 failed:\nunable to connect"):
        call(run_wrk, folder)


def test_either_generator_is_enough_and_without_one_both_are_named(generators):
    with pytest.raises(CeilingError, match="neither wrk nor h2load is installed"):
        call(run_rest_load, generators())
    folder = generators(h2load="nothing")
    with pytest.raises(CeilingError, match="h2load against"):
        call(run_rest_load, folder)
    assert "--h1" in (folder / "h2load.called").read_text()
    assert call(run_rest_load, generators(wrk=json.dumps(COUNTS))).requests_per_s == 50.0


class Refusing(BaseHTTPRequestHandler):
    """Refuses, without a reason in the status line, all but one body."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        is_known = self.rfile.read(int(self.headers["Content-Length"])) == b"\0row\n" and self.headers["X-Is"] == "a: b"
        self.send_response_only(200 if is_known else 503, "")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *given):
        pass


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed (Debian: wrk)")
def test_the_real_one_sends_bytes_and_headers_and_counts_refusals_without_a_reason(tmp_path):
    (tmp_path / "body").write_bytes(b"\0row\n")
    how = {"callers": 1, "duration_s": 1.0, "headers": ("X-Is: a: b",)}
    with run_http_server(Refusing) as server:
        address = f"127.0.0.1:{server.server_port}"
        assert call(run_wrk, tmp_path, address, **how).requests_per_s > 10
        (tmp_path / "body").write_bytes(b"other")
        with pytest.raises(CeilingError, match="by statuses"):
            call(run_wrk, tmp_path, address, **how)
