"""Files of strangers: what could run code is refused before anything of it runs."""

import contextlib
import io
import json
import os
import pickle
import zipfile

import pytest
import torch

from training.release.program_file import UntrustedError, load_program_file


class Payload:
    """Pickles as a call that leaves a folder behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.fixture
def trace(tmp_path):
    """The folder that is there when a stranger's code has run."""
    return tmp_path / "trace"


@pytest.fixture
def tamper(program_file, tmp_path):
    """Write a changed copy of an honest program: `change(name, content)` gives new content, `added` more files."""

    def tamper(change=lambda name, content: content, added=()):
        path = tmp_path / "tampered.pt2"
        with zipfile.ZipFile(program_file) as honest, zipfile.ZipFile(path, "w") as tampered:
            root = honest.namelist()[0].split("/")[0]
            for entry in honest.namelist():
                name = entry.removeprefix(f"{root}/")
                tampered.writestr(entry, change(name, honest.read(entry)))
            for name, content in added:
                tampered.writestr(f"{root}/{name}", content)
        return path

    return tamper


def in_graph(change):
    """Change the program's JSON."""

    def changed(name, content):
        if name != "models/model.json":
            return content
        text = change(content.decode())
        assert text != content.decode()
        return text

    return changed


def test_an_honest_program_is_loaded(program_file, tamper):
    x = torch.ones(2, 3, 8, 8)
    expected = torch.export.load(program_file).module()(x)["y"]
    for path in (program_file, tamper()):
        assert torch.equal(load_program_file(path).module(check_guards=False)(x)["y"], expected)


def test_pickled_example_inputs_are_refused_and_not_run(tamper, trace):
    buffer = io.BytesIO()
    torch.save((Payload(trace),), buffer)
    path = tamper(lambda name, content: buffer.getvalue() if "sample_inputs" in name else content)
    with pytest.raises(UntrustedError, match=r"its example inputs are pickled objects.*If you trust them, say --trust"):
        load_program_file(path)
    assert not trace.exists()
    with contextlib.suppress(ValueError):  # what the call returned makes no example inputs, or does
        load_program_file(path, is_trusted=True)
    assert trace.exists()


def test_pickled_weights_and_opaque_objects_are_refused_and_not_run(tamper, trace):
    def pickle_weights(name, content):
        if name == "data/weights/model_weights_config.json":
            config = json.loads(content)
            next(iter(config["config"].values()))["use_pickle"] = True
            return json.dumps(config)
        return pickle.dumps(Payload(trace)) if name == "data/weights/weight_0" else content

    def add_constant(name, content):
        if name != "data/constants/model_constants_config.json":
            return content
        payload = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
        return json.dumps({"config": {"thing": payload}})

    files = [
        tamper(pickle_weights),
        tamper(add_constant, [("data/constants/opaque_obj_0", pickle.dumps(Payload(trace)))]),
    ]
    for path in files:
        with pytest.raises(UntrustedError, match="is a pickled object"):
            load_program_file(path)
    assert not trace.exists()


def test_compiled_libraries_and_older_formats_are_refused(tamper, tmp_path):
    with pytest.raises(UntrustedError, match=r"it holds the file data/aotinductor/model/evil\.so"):
        load_program_file(tamper(added=[("data/aotinductor/model/evil.so", b"")]))
    with pytest.raises(UntrustedError, match=r"it holds the file data/weights/model\.pt|is a pickled object"):
        load_program_file(tamper(added=[("data/weights/model.pt/x", b"")]))
    with zipfile.ZipFile(tmp_path / "old.pt2", "w") as old:
        old.writestr("version", "8.20")
        old.writestr("serialized_state_dict.pt", pickle.dumps(Payload(tmp_path / "trace")))
    with pytest.raises(ValueError, match=r"old\.pt2"):
        load_program_file(tmp_path / "old.pt2")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("torch.ops.aten.relu.default", "torch.os.system", "it calls 'torch.os.system'"),
        (
            "torch.ops.aten.relu.default",
            "torch.ops.aten.from_file.default",
            "it calls 'torch.ops.aten.from_file.default'",
        ),
        ("torch.ops.aten.relu.default", "_operator.methodcaller", "it calls '_operator.methodcaller'"),
        ("Symbol(", "__import__('os').system(", "a size is the expression"),
        ("Symbol(", "open(", "a size is the expression"),
        ('"name": "x"', '"name": "x=print()"', "it uses the name 'x=print\\(\\)'"),
        ("builtins.tuple", "collections.defaultdict", "its in_spec is"),
    ],
)
def test_what_the_loader_would_evaluate_is_refused(tamper, old, new, words):
    with pytest.raises(UntrustedError, match=words):
        load_program_file(tamper(in_graph(lambda text: text.replace(old, new))))
