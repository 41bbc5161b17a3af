"""Peers that are started, asked and given up as any of the real ones, which take minutes to install."""

import base64
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from loadtests.addresses import Addresses
from loadtests.measure.host import describe_host
from loadtests.peers.catalogue import PEERS, SERVERS, Peer
from loadtests.peers.command import write_page
from loadtests.peers.comparing import Comparison, Figures, compare_peer, run_peer
from loadtests.peers.doors import open_ours, open_peer
from loadtests.peers.environments import PeerError, environment_of, make_environment
from loadtests.peers.program import PeerProgram, ProgramError, extract_program
from loadtests.subject import find_variant
from model_store.open_inference import messages

ECHO = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def program(store, tmp_path):
    """A program that answers its own input."""
    subject = find_variant(store.open("double", 1), "int8")
    row = np.array([[1.5, -2.0]], np.float32)
    return PeerProgram(subject, tmp_path, tmp_path / "peer.json", "FP32", row, row)


def run_script(source):
    def command(python, ports, program):
        return [str(python), "-c", source, *map(str, ports)]

    return Peer(name="Echo", packages=(), command=command, form="body", path="/infer")


def test_a_peer_is_asked_once_it_answers_and_ends_with_the_block(program):
    with run_peer(run_script(ECHO), Path(sys.executable), program) as door:
        assert program.explain_mismatch(door.ask()) == ""
    with pytest.raises(PeerError, match="refused"):
        door.ask()


def test_a_peer_that_cannot_run_says_why(program, tmp_path):
    broken = run_script("import sys; print('no such backend'); sys.exit(3)")
    found = compare_peer(
        broken, program, Addresses(), cache=tmp_path, repeats=1, seconds=0.5, console=Console(quiet=True)
    )
    assert found.throughput is None
    assert found.why_not.startswith("ended with 3")
    assert "no such backend" in found.why_not


def test_a_wrong_answer_is_no_peer(program):
    assert "differs by 0.5" in program.explain_mismatch(np.array([[1.5, -1.5]], np.float32).tobytes())
    assert "an answer of 3 bytes, 8 are right" in program.explain_mismatch(b"abc")


def test_each_door_carries_the_same_row(program):
    raw = program.row.tobytes()
    oip = open_peer("oip", program, "localhost:1", "", as_list=False)
    request = messages().ModelInferRequest.FromString(oip.message)
    assert (request.model_name, request.inputs[0].datatype, request.raw_input_contents[0]) == ("peer", "FP32", raw)
    assert open_peer("body", program, "localhost:1", "/x", as_list=False).message == raw
    for as_list in (False, True):
        body = json.loads(open_peer("json", program, "localhost:1", "/x", as_list=as_list).message)
        assert base64.b64decode(body["rows"][0] if as_list else body["row"]) == raw
    ours = open_ours(program, "localhost:1", "http://localhost:2", over_grpc=False)
    assert ours.path == "/v2/models/double/versions/1-int8/infer"
    assert ours.message.endswith(raw)
    assert open_ours(program, "localhost:1", "http://localhost:2", over_grpc=True).is_grpc


def test_a_variant_that_others_cannot_run_is_refused(store, tmp_path):
    release = store.open("double", 1)
    with pytest.raises(ProgramError, match="not one ONNX program of one input"):
        extract_program(release, find_variant(release, "int8"), tmp_path)


def test_an_environment_is_made_once_and_again_for_other_packages(tmp_path, monkeypatch):
    calls = tmp_path / "calls"
    uv = tmp_path / "uv"
    uv.write_text(
        f'#!/bin/sh\necho "$@" >> {calls}\nfor last; do :; done\n[ "$1" = venv ] && mkdir -p "$last"\nexit 0\n'
    )
    uv.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(uv))
    python = make_environment("peer", ("a==1",), tmp_path / "cache")
    assert python == tmp_path / "cache" / "peer" / "bin" / "python"
    make_environment("peer", ("a==1",), tmp_path / "cache")
    make_environment("peer", ("a==2",), tmp_path / "cache")
    lines = calls.read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["venv", "pip", "venv", "pip"]
    assert lines[1].endswith("a==1")
    assert lines[3].endswith("a==2")


def test_a_peer_that_cannot_be_installed_says_why(tmp_path, monkeypatch):
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho no such package >&2\nexit 1\n")
    uv.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(uv))
    with pytest.raises(PeerError, match="no such package"):
        make_environment("peer", ("a==1",), tmp_path / "cache")


def test_a_peer_gets_nothing_of_ours(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("MILLRACE_STORE", "/ours")
    environment = environment_of(Path("/cache/peer/bin/python"))
    assert not {"PYTHONPATH", "MILLRACE_STORE", "VIRTUAL_ENV"} & set(environment)
    assert environment["PATH"].startswith("/cache/peer/bin:")
    assert environment["OMP_NUM_THREADS"] == "1"


def test_every_peer_has_its_script():
    assert {path.stem.removesuffix("_peer") for path in SERVERS.glob("*_peer.py")} == {
        peer.name.lower().split()[0] for peer in PEERS
    }


def test_the_page_has_ratios_and_reasons():
    figures = Figures(ours=(900.0, 1100.0, 1000.0), theirs=(500.0, 500.0, 500.0), ratio=2.0, lowest=1.8, highest=2.2)
    found = [
        Comparison(peer="Triton", over="gRPC", throughput=figures, latency=figures),
        Comparison(peer="MLServer", over="gRPC", why_not="ended with 1"),
    ]
    page = write_page("net 1-onnx", found, describe_host())
    assert "| Triton | gRPC | 1,000 ÷ 500 | 2.00× (1.80 to 2.20) | 1,000.00 ÷ 500.00 | 2.00× (1.80 to 2.20) |" in page
    assert "- MLServer could not run: ended with 1" in page
