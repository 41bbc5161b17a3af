"""A finished run, described for release and served by the handler that its archive names."""

from __future__ import annotations

import os
import socket

import numpy as np
import pytest
import torch

from handlers.archive import open_handler
from handlers.worker import start_worker
from model_store.open_inference import messages
from model_store.session_records import encode_record, leave_rows
from training.diffusion.program import make_drawing
from training.diffusion.servable import describe_release, load_trained
from training.release.capture import capture
from training.release.content import lay_out
from training.release.measurement import measure_quality

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def spec(finished_run):
    return describe_release(finished_run, "cpu")


@pytest.fixture(scope="module")
def archive(spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("content")
    torch.export.save(capture(spec.programs["main"], CPU), folder / "main.pt2")
    target = {"device": "cpu", "capability": "", "torch_version": torch.__version__.partition("+")[0]}
    archive = folder / "archive"
    archive.mkdir()
    lay_out(archive, spec, release=1, variant="eager", programs={"main": folder / "main.pt2"}, target=target)
    return archive


@pytest.fixture(scope="module")
def handler(archive):
    return open_handler(archive, "cpu")


@pytest.mark.parametrize("parameters", [{}, {"guidance": 2.0, "steps": 4, "sampler": "ddim"}])
def test_the_handler_draws_what_training_measures(parameters, finished_run, handler):
    network, recipe, _ = load_trained(finished_run)
    asked = type(recipe)(**{**vars(recipe), **parameters})
    latents, labels = torch.randn(6, 256, generator=torch.Generator().manual_seed(1)), torch.arange(6)
    expected = make_drawing(network, asked, CPU)(latents, labels).numpy()
    images = handler.infer({"latent": latents.numpy(), "label": labels.numpy()}, parameters).arrays["image"]
    assert np.abs(images.astype(int) - expected.astype(int)).max() <= 1


def test_a_full_batch_may_be_guided(spec, handler):
    rows = {"seed": np.arange(spec.max_rows), "label": np.arange(spec.max_rows) % 10}
    assert handler.infer(rows, {"guidance": 2.0, "steps": 1}).arrays["image"].shape == (spec.max_rows, 16, 16, 1)


def test_a_worker_hears_that_all_callers_have_left_and_takes_no_more_steps(archive, tmp_path, monkeypatch):
    monkeypatch.setattr("handlers.worker.keep_freed_memory", lambda: None)
    worker = start_worker(folder=str(archive), gpu_id=None, num_threads=1, control_folder=str(tmp_path))
    program, steps = worker.handler.programs["main"], []
    worker.handler.programs["main"] = lambda values: steps.append(1) or program(values)
    request = messages().ModelInferRequest()
    request.inputs.add(name="seed", datatype="INT64", shape=[2])
    request.raw_input_contents.append(np.arange(2).tobytes())
    request.parameters["steps"].int64_param = 3
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gateway:
        for gone, num_steps in ((1, 3), (2, 0)):
            gateway.sendto(encode_record(leave_rows(7, 0, gone)), str(tmp_path / f"control-{os.getpid()}"))
            worker.answer_packed(request.SerializeToString(), 7)
            assert len(steps) == num_steps
            steps.clear()
    worker.control.close()


def test_the_gate_measures_the_handler_against_a_margin_of_five_percent(spec, handler):
    measured = measure_quality(handler, spec.held_out, spec.max_rows)
    assert measured.value < 0
    assert 0.02 < spec.margin / -measured.value < 0.1


def test_an_unfinished_run_is_refused(finished_run, tmp_path):
    (tmp_path / "run.json").write_text((finished_run / "run.json").read_text())
    with pytest.raises(FileNotFoundError, match="did not finish"):
        load_trained(tmp_path)
