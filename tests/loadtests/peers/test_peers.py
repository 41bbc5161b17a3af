"""Peers that are started, asked and given up as any of the real ones, which take minutes to install."""

import base64
import json
import runpy
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from loadtests.addresses import Addresses
from loadtests.measure.host import describe_host
from loadtests.peers.catalogue import PEERS, Peer
from loadtests.peers.command import write_page
from loadtests.peers.comparing import Comparison, Figures, compare_peer, run_peer
from loadtests.peers.doors import open_ours, open_peer
from loadtests.peers.environments import PeerError, environment_of, make_environment
from loadtests.peers.program import SERVERS, PeerProgram, ProgramError, extract_program, find_engine
from loadtests.subject import find_variant
from model_store.open_inference import messages
from model_store.signing import Keyring
from model_store.store import Store
from tests import builders
from tests.loadtests.conftest import TENSORS

EXAMPLES = {"examples": {"x": np.arange(6, dtype=np.float32).reshape(3, 2)}}
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
    return PeerProgram(subject, find_engine("program.onnx", ""), tmp_path, tmp_path / "peer.json", "FP32", row, row)


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


class Double(torch.nn.Module):
    def forward(self, rows):
        return {"y": 2 * rows, "unused": rows}


@pytest.fixture
def release(tmp_path, keys):
    """A release whose variant `eager` is a torch program that doubles its rows, [N, 2]."""
    store = Store(tmp_path / "store", Keyring(keys))
    path = "programs/main/main.pt2"
    release = builders.publish_release(store, "double", {"eager": {"programs": {"main": path}}}, **EXAMPLES, **TENSORS)
    shapes = ({0: torch.export.Dim("rows", min=1)},)
    torch.export.save(torch.export.export(Double(), (torch.ones(3, 2),), dynamic_shapes=shapes), tmp_path / "main.pt2")
    with zipfile.ZipFile(release.archive_path("eager"), "w") as archive:
        archive.write(tmp_path / "main.pt2", path)
    return release


def test_a_torch_program_is_taken_out_and_run_as_the_peers_run_it(release, tmp_path, monkeypatch):
    program = extract_program(release, find_variant(release, "eager"), tmp_path)
    assert program.engine.packages[0].startswith("torch")
    assert program.expected.tolist() == [[0.0, 2.0]]
    monkeypatch.setenv("PEER_CONFIG", str(program.config))
    session = runpy.run_path(str(SERVERS / "peer_session.py"))["Session"]()
    assert session.config["output_shape"] == [2]
    rows = [np.array(row, np.float32).tobytes() for row in ([1, 2], [3, 4], [5, 6])]
    answers = [np.frombuffer(answer, np.float32).tolist() for answer in session.run_bytes(rows)]
    assert answers == [[2, 4], [6, 8], [10, 12]]


def test_a_program_that_does_not_take_the_input_as_it_is_says_so(tmp_path, keys):
    path = "programs/main/program.onnx"
    store = Store(tmp_path / "store", Keyring(keys))
    release = builders.publish_release(store, "double", {"onnx": {"programs": {"main": path}}}, **TENSORS)
    with zipfile.ZipFile(release.archive_path("onnx"), "w") as archive:
        archive.writestr(path, "nothing")
    with pytest.raises(ProgramError, match="its program does not take 'x' as it is"):
        extract_program(release, find_variant(release, "onnx"), tmp_path)


@pytest.mark.parametrize(
    ("path", "engine"), [("a/main.onnx", "onnxruntime"), ("a/main.pt2", "torch"), ("a/program.so", "torch")]
)
def test_a_program_needs_its_engine_in_the_release_that_made_it(path, engine):
    found = find_engine(path, "2.13.0")
    assert found.name == engine
    assert engine != "torch" or found.packages[0] == "torch==2.13.0"


def test_a_variant_that_others_cannot_run_is_refused(tmp_path, keys):
    variants = {
        "steps": {"programs": {"start": "start.pt2", "step": "step.pt2"}},
        "cuda": {"target": {"device": "cuda", "capability": "sm_90", "torch_version": "2.13.0"}},
    }
    release = builders.publish_release(Store(tmp_path / "store", Keyring(keys)), "double", variants, **TENSORS)
    with pytest.raises(ProgramError, match=r"not one program of one input.*it has 2 program"):
        extract_program(release, find_variant(release, "steps"), tmp_path)
    with pytest.raises(ProgramError, match="runs on cuda; compare a variant for the CPU"):
        extract_program(release, find_variant(release, "cuda"), tmp_path)


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
    page = write_page("net 1-onnx", "onnxruntime", found, describe_host())
    assert "| Triton | gRPC | 1,000 ÷ 500 | 2.00× (1.80 to 2.20) | 1,000.00 ÷ 500.00 | 2.00× (1.80 to 2.20) |" in page
    assert "- MLServer could not run: ended with 1" in page
