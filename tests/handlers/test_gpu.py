"""What handlers do on a GPU, whose values are tensors: here on a stand-in that keeps them on the CPU."""

import numpy as np
import pytest
import torch

from handlers.device import Gpu, OnnxGpu
from handlers.message import Request
from handlers.program import load_program
from tests.tiny_language_model import PROMPTS, describe_tiny_language_model, learn_tiny_vocabulary
from tests.tiny_language_model import build_tiny_network as build_language_model
from tests.tiny_translator import TEXTS, build_tiny_network, describe_tiny_translator
from training.release.capture import capture
from training.release.reference import open_reference
from training.release.spec import ProgramSpec
from training.seq2seq.servable import encode_texts

CPU, GPU = torch.device("cpu"), torch.device("cuda")


class TensorGpu(Gpu):
    """A GPU, but for where its tensors are."""

    def __init__(self, name, *given):
        super().__init__("cpu", *given)


@pytest.fixture
def _pretended_gpu(monkeypatch):
    monkeypatch.setattr("handlers.device.Gpu", TensorGpu)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, device: module)


@pytest.fixture(params=["translator", "language model"])
def asked(request, tmp_path_factory):
    """A model that writes texts, and what it is asked."""
    folder = tmp_path_factory.mktemp("vocabulary")
    if request.param == "translator":
        inputs = {"text": encode_texts(TEXTS)}
        return describe_tiny_translator(build_tiny_network(), folder), inputs, ("translation", "score", "alignment")
    vocabulary = learn_tiny_vocabulary()
    spec = describe_tiny_language_model(build_language_model(len(vocabulary)), vocabulary, folder)
    return spec, {"prompt": encode_texts(PROMPTS)}, ("text", "score")


def tell(handler, inputs, requested):
    """Let each row join a step after the one before it; returns what was found of each at its end."""
    session, found = handler.open_session(), {}
    rows = list(range(len(next(iter(inputs.values())))))
    while rows or not session.is_empty:
        if rows:
            row = rows.pop(0)
            session.join(row, Request({name: array[row : row + 1] for name, array in inputs.items()}, {}, requested))
        for part in session.advance():
            found[part.key] = part.outputs.arrays
    return found


def assert_alike(found, expected):
    for name, array in expected.items():
        if array.dtype == np.object_:
            assert found[name].tolist() == array.tolist()
        else:
            np.testing.assert_allclose(found[name], array, rtol=1e-5)


@pytest.mark.usefixtures("_pretended_gpu")
def test_texts_are_written_by_tensors_as_by_arrays(asked, tmp_path):
    spec, inputs, requested = asked
    handlers = [open_reference(spec, device, tmp_path / device.type) for device in (CPU, GPU)]
    assert (handlers[0].device.type, type(handlers[1].device)) == ("cpu", TensorGpu)
    by_arrays, by_tensors = (handler.infer(inputs, {}, requested).arrays for handler in handlers)
    assert_alike(by_tensors, by_arrays)
    told, expected = (tell(handler, inputs, requested) for handler in reversed(handlers))
    assert told.keys() == expected.keys() == {*range(len(by_arrays["score"]))}
    for row in told:
        assert_alike(told[row], expected[row])


@pytest.mark.usefixtures("_pretended_gpu")
def test_a_continuation_is_measured_by_tensors_as_by_arrays(tmp_path):
    vocabulary = learn_tiny_vocabulary()
    spec = describe_tiny_language_model(build_language_model(len(vocabulary)), vocabulary, tmp_path)
    inputs = {"prompt": encode_texts(["the dog", "a"]), "continuation": encode_texts([" sees", " cat and"])}
    by_arrays, by_tensors = (
        open_reference(spec, device, tmp_path / device.type).infer(inputs, {}).arrays for device in (CPU, GPU)
    )
    assert_alike(by_tensors, by_arrays)


class Placed(torch.nn.Module):
    """Has a weight, and makes a tensor on the device that it is exported on."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, x):
        return x * self.weight + torch.arange(3, device=x.device)


def test_an_exported_program_runs_on_the_workers_gpu_whichever_it_was_released_on(tmp_path):
    rows = torch.export.Dim("rows", min=1, max=16)
    program = ProgramSpec(module=Placed(), example_inputs=(torch.ones(2, 3),), dynamic_shapes=({0: rows},))
    torch.export.save(capture(program, CPU), tmp_path / "program.pt2")
    elsewhere = Gpu("meta")  # a device that is not the one of the file
    (found,) = load_program(tmp_path / "program.pt2", elsewhere)(elsewhere.put([np.ones((4, 3), np.float32)]))
    assert (found.device.type, found.shape) == ("meta", (4, 3))


@pytest.mark.usefixtures("_pretended_gpu")
def test_onnxruntime_gets_a_gpu_for_itself_only_where_it_runs_something(tmp_path, portable_content):
    import json

    from handlers.archive import open_handler

    manifest = json.loads((portable_content / "manifest.json").read_text())
    manifest["target"] = {"device": "cuda", "capability": "", "torch_version": ""}
    for name, programs, expected in (("some", {}, TensorGpu), ("onnx", manifest["programs"], OnnxGpu)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest | {"programs": programs}))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("handlers.base.load_program", lambda path, device: None)
            assert type(open_handler(tmp_path / name, "cuda").device) is expected
