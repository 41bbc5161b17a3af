import io
import json
import socket
import sys
import threading

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI

from services.client import cli
from tests.services.client.open_inference_server import CORRUPT, TOO_LONG
from tests.shell import run_as_shell


@pytest.fixture
def infer(server, monkeypatch, capsys):
    """Run the command as a shell would; gives exit status, stdout and stderr."""

    def run(*arguments, url=server.url):
        return run_as_shell(cli.main, ["infer", *map(str, arguments), "--url", url], monkeypatch, capsys)

    return run


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"image bytes")
    return path


def test_classifier_prints_a_table_with_the_top_labels(infer, image):
    status, out, _ = infer("classifier", image, "--top", 3)
    assert status == 0
    assert "1-int8" in out
    assert [line for line in out.splitlines() if "label2" in line and "25.0%" in line]


def test_a_model_of_another_name_is_called_as_its_kind(infer, image):
    status, out, _ = infer("shoes", image, "--top", 3)
    assert status == 0
    assert "shoes 1-int8" in out
    assert [line for line in out.splitlines() if "label2" in line and "25.0%" in line]


def test_classifier_prints_json(infer, image):
    status, out, _ = infer("classifier", image, image, "--json")
    assert status == 0
    answers = json.loads(out)
    assert [answer["image"] for answer in answers] == [str(image)] * 2
    assert answers[0]["top"] == [{"label": "label0", "probability": 0.5}]


def test_a_failed_image_is_shown_and_the_status_is_1(infer, image, tmp_path):
    corrupt = tmp_path / "b.png"
    corrupt.write_bytes(CORRUPT)
    status, out, _ = infer("classifier", image, corrupt)
    assert status == 1
    assert "not an image" in out
    assert "label0" in out


def test_seq2seq_prints_each_translation(infer):
    status, out, _ = infer("seq2seq", "two dogs run", "[bold]", "--n-best", 2)
    assert status == 0
    lines = out.splitlines()
    assert [line for line in lines if "two dogs run" in line and "TWO DOGS RUN" in line and "-1.000" in line]
    assert [line for line in lines if "TWO DOGS RUN!" in line and "-2.000" in line]
    assert [line for line in lines if "[bold]" in line and "[BOLD]" in line]


def test_seq2seq_reads_lines_prints_json_and_draws_the_alignment(infer, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdin", io.StringIO("two dogs\n\nrun\n"))
    picture = tmp_path / "alignment.png"
    status, out, _ = infer("seq2seq", "--json", "--plot", picture)
    assert status == 0
    answers = json.loads(out)
    assert [answer["source"] for answer in answers] == ["two dogs", "run"]
    assert answers[0]["hypotheses"][0]["text"] == "TWO DOGS"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_seq2seq_shows_why_a_text_failed(infer):
    status, out, _ = infer("seq2seq", TOO_LONG.decode(), "fine")
    assert status == 1
    assert "the limit is 9 pieces" in out
    assert "FINE" in out


def test_any_model_takes_arrays_from_files_and_writes_its_outputs(infer, tmp_path):
    np.save(tmp_path / "x.npy", np.array([[1, 2]], np.float32))
    out_path = tmp_path / "out.npz"
    status, _, _ = infer("double", "--input", f"x={tmp_path}/x.npy", "--param", "k=3", "--out", out_path)
    assert status == 0
    with np.load(out_path) as file:
        np.testing.assert_array_equal(file["y"], [[2, 4]])


def test_a_model_with_a_command_of_its_own_takes_arrays_too(infer, server, tmp_path):
    np.save(tmp_path / "image.npy", np.zeros((2, 8, 8, 1), np.uint8))
    status, out, _ = infer("classifier", "--input", f"image={tmp_path}/image.npy", "--param", "top_k=1", "--json")
    assert status == 0
    assert json.loads(out)["label"] == [["label0"], ["label0"]]


def test_without_input_the_models_tensors_are_shown(infer):
    status, out, _ = infer("double")
    assert status == 0
    assert "1-int8, 1-eager" in out
    assert "FP32" in out
    assert "[-1, 4]" in out


def test_a_failed_call_is_one_line_with_the_request_id(infer, server, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(1))
    status, out, err = infer("nothing", "--input", f"x={tmp_path}/x.npy")
    assert (status, out) == (1, "")
    assert err.strip() == (
        "infer: no model 'nothing'; there are classifier and double "
        f"[NOT_FOUND, request server-{server.requests[0].id}]"
    )


def test_no_server_says_what_to_do(infer):
    status, _, err = infer("double", url="127.0.0.1:1")
    assert status == 1
    assert "nothing answers at 127.0.0.1:1; start a server" in err


@pytest.mark.parametrize("text", ["x", "=a.npy", "x=nothing.npy"])
def test_a_wrong_input_is_a_usage_error(infer, text):
    status, _, err = infer("double", "--input", text)
    assert status == 2
    assert "--input" in err


def test_a_wrong_parameter_is_a_usage_error(infer):
    status, _, err = infer("double", "--input", "x=[[1, 2]]", "--param", "k")
    assert status == 2
    assert "--param is name=value, got 'k'" in err


def test_rows_may_be_written_out_or_come_as_a_file_of_json(infer, server, tmp_path):
    (tmp_path / "rows.json").write_text('{"inputs": {"x": [[1, 2, 3, 4], [5, 6, 7, 8]]}}')
    np.save(tmp_path / "rows.npy", np.ones((1, 4), np.float32))
    assert json.loads(infer("double", "--input", "x=[1, 2, 3, 4]", "--json")[1]) == {"y": [[2, 4, 6, 8]]}
    assert json.loads(infer("double", tmp_path / "rows.json", "--json")[1])["y"][1] == [10, 12, 14, 16]
    assert json.loads(infer("double", tmp_path / "rows.npy", "--json")[1]) == {"y": [[2, 2, 2, 2]]}
    assert {request.inputs[0].datatype for request in server.requests} == {"FP32"}


def test_what_the_model_does_not_take_is_a_usage_error_that_says_what_it_takes(infer, tmp_path):
    for arguments, words in (
        (["two dogs"], "double takes no files or texts but x (FP32)"),
        (["--input", "z=[1]"], "double has no input 'z'; it has x"),
        (["--input", 'x=["a"]'], "--input x takes FP32 values"),
        ([tmp_path / "none.json"], "cannot read"),
    ):
        status, out, err = infer("double", *arguments)
        assert (status, out) == (2, "")
        assert words in " ".join(err.replace("│", " ").split())


def test_a_model_shows_what_its_tensors_and_parameters_mean(infer):
    status, out, _ = infer("double")
    assert status == 0
    assert [line for line in out.splitlines() if "input" in line and "four numbers; at most 9 V" in line]
    assert [line for line in out.splitlines() if "parameter" in line and "int64: how many" in line]
    assert "send x" in out


def test_the_rest_port_is_named_as_such(infer):
    rest = uvicorn.Server(uvicorn.Config(FastAPI(), log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=rest.run, kwargs={"sockets": [listener]})
        thread.start()
        port = listener.getsockname()[1]
        status, _, err = infer("double", "--input", "x=[1, 2, 3, 4]", url=f"127.0.0.1:{port}")
        rest.should_exit = True
        thread.join()
    assert status == 1
    words = f"127.0.0.1:{port} is an HTTP port such as REST has; this client speaks gRPC: give the gRPC port, 8001"
    assert words in err


def test_an_address_with_a_scheme_is_a_usage_error(infer):
    status, _, err = infer("double", url="http://localhost:8000")
    assert status == 2
    assert "'http://localhost:8000' is no host:port" in err
