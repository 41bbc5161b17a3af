import json
import zipfile

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from handlers.archive import open_handler
from model_store.signing import Keyring
from model_store.store import Store
from training.release.cli import app
from training.release.onnx_program import describe_onnx_program

NET = """
<ir_version: 10, opset_import: ["": 20]>
net (float[rows, 3, 8, 8] x, float[rows] scale) => (float[rows, 8] y, int64[rows] best)
<int64[2] axes = {2, 3}, int64[1] last = {1}>
{
    z = Conv <pads = [1, 1, 1, 1]> (x, weight)
    mean = ReduceMean <keepdims = 0> (z, axes)
    column = Unsqueeze (scale, last)
    y = Mul (mean, column)
    best = ArgMax <axis = 1, keepdims = 0> (y)
}
"""


def save(text, path):
    model = onnx.parser.parse_model(text)
    if "weight" in text:
        weight = np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "weight"))
    onnx.save(model, path)
    return path


def test_an_onnx_file_is_released_as_its_own_reference_and_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("MILLRACE_KEYS", str(tmp_path / "keys"))
    program = save(NET, tmp_path / "net.onnx")
    x = np.random.default_rng(1).standard_normal((64, 3, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=x, scale=np.ones(64, np.float32))
    arguments = ["--program", str(program), "--name", "net", "--calibration", str(tmp_path / "rows.npz")]
    result = CliRunner().invoke(app, [*arguments, "--store", str(tmp_path / "store"), "--margin", "1"])
    assert result.exit_code == 0, result.output
    release = Store(tmp_path / "store", Keyring(tmp_path / "keys")).open("net", 1)
    assert [*release.manifests] == ["onnx", "onnx-int8"]
    manifest = release.manifests["onnx-int8"]
    assert manifest.version == "1-onnx-int8"
    assert manifest.quality.paired.reference == "onnx"
    assert [(tensor.name, tensor.datatype, tensor.shape) for tensor in manifest.outputs] == [
        ("y", "FP32", (-1, 8)),
        ("best", "INT64", (-1,)),
    ]
    answers = {}
    for variant in ("onnx", "onnx-int8"):
        with zipfile.ZipFile(release.archive_path(variant)) as archive:
            archive.extractall(tmp_path / variant)
        handler = open_handler(tmp_path / variant, "cpu")
        answers[variant] = handler.infer({"x": x[:5], "scale": np.full(5, 2, np.float32)}, {}).arrays["y"]
    assert 0 < np.abs(answers["onnx-int8"] - answers["onnx"]).max() < 0.05 * np.abs(answers["onnx"]).max()
    assert json.loads((tmp_path / "onnx" / "manifest.json").read_text())["target"]["torch_version"] == ""


def test_the_default_is_the_best_at_what_the_command_asks_for(tmp_path, monkeypatch):
    monkeypatch.setenv("MILLRACE_KEYS", str(tmp_path / "keys"))
    x = np.random.default_rng(1).standard_normal((64, 3, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=x, scale=np.ones(64, np.float32))
    arguments = ["--program", str(save(NET, tmp_path / "net.onnx")), "--name", "net"]
    arguments += ["--calibration", str(tmp_path / "rows.npz"), "--margin", "1", "--objective", "size"]
    assert CliRunner().invoke(app, [*arguments, "--store", str(tmp_path / "store")]).exit_code == 0
    release = Store(tmp_path / "store", Keyring(tmp_path / "keys")).open("net", 1)
    assert release.index.objective == "size"
    assert release.index.default == min(release.manifests, key=lambda variant: release.manifests[variant].size_bytes)


def test_random_rows_judge_where_none_are_given(tmp_path):
    spec = describe_onnx_program(save(NET, tmp_path / "net.onnx"), "net")
    assert spec.held_out.dataset.startswith("512 random rows")
    assert spec.programs["main"].calibration is None
    assert spec.max_rows == 64


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("net (float[4, 3] x) => (float[rows, 3] y)", r"input 'x' has the fixed shape \[4, 3\]"),
        ("net (float[rows, 3] x) => (float[1, 3] y)", r"output 'y' has the fixed shape \[1, 3\]"),
        ("net (float[rows, size] x) => (float[rows, size] y)", r"'x' has free dimensions .*--calibration"),
        ("net (bfloat16[rows, 3] x) => (bfloat16[rows, 3] y)", r"input 'x' is no tensor of numbers"),
        ("net (string[rows] x) => (string[rows] y)", r"input 'x' is no tensor of numbers"),
    ],
)
def test_other_interfaces_are_refused_with_what_to_do(tmp_path, signature, message):
    text = f'<ir_version: 10, opset_import: ["": 20]> {signature} {{ y = Identity (x) }}'
    with pytest.raises(ValueError, match=message):
        describe_onnx_program(save(text, tmp_path / "net.onnx"), "net")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        describe_onnx_program(tmp_path / "nothing.onnx", "net")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.onnx is no valid ONNX file"):
        describe_onnx_program(tmp_path / "text.onnx", "net")


def test_weights_in_other_files_are_refused(tmp_path):
    model = onnx.load(save(NET, tmp_path / "net.onnx"))
    onnx.save(model, tmp_path / "apart.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    with pytest.raises(ValueError, match="keeps weights in other files; save it as one"):
        describe_onnx_program(tmp_path / "apart.onnx", "net")


def test_operators_that_onnxruntime_lacks_are_named(tmp_path):
    text = """
    <ir_version: 10, opset_import: ["": 20, "elsewhere": 1]>
    net (float[rows, 3] x) => (float[rows, 3] y) { y = elsewhere.Magic (x) }
    """
    with pytest.raises(ValueError, match=r"onnxruntime cannot load .*Magic"):
        describe_onnx_program(save(text, tmp_path / "net.onnx"), "net")
