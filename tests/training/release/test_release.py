"""One release of a user's program, from the command to the store: every variant that this CPU has."""

import json
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from handlers.archive import open_handler
from host.instruction_sets import cpu_features
from model_store.manifest import Target
from model_store.release import file_digest
from model_store.signing import Keyring
from model_store.store import Store
from services.selection import select_variants
from training.release.cli import app
from training.release.spec import HeldOut, ReleaseSpec

pytestmark = pytest.mark.timeout(900)  # three compilations: half a minute on two free cores


@pytest.fixture(scope="module")
def released(tmp_path_factory, program_file, calibration_file):
    folder = tmp_path_factory.mktemp("released")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILLRACE_KEYS", str(folder / "keys"))
        arguments = ["--program", str(program_file), "--name", "net", "--calibration", str(calibration_file)]
        result = CliRunner().invoke(app, [*arguments, "--store", str(folder / "store"), "--margin", "0.2"])
    assert result.exit_code == 0, result.output
    return result.output, Store(folder / "store", Keyring(folder / "keys")).open("net", 1)


@pytest.fixture(scope="module")
def unpacked(released, tmp_path_factory):
    _, release = released
    folders = {}
    for variant in release.variants:
        folders[variant] = tmp_path_factory.mktemp(variant)
        with zipfile.ZipFile(release.archive_path(variant)) as archive:
            assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
            archive.extractall(folders[variant])
    return folders


def expected_variants():
    variants = {"eager", "compiled", "int8", "onnx", "onnx-int8"}
    return variants | {"bf16"} if "BF16" in cpu_features() else variants


def test_every_variant_is_made_measured_and_shown(released):
    output, release = released
    assert set(release.manifests) == expected_variants()
    assert set(release.variants) == expected_variants()
    for variant in release.manifests:
        assert variant in output
    assert f"default variant {release.index.default}" in output


def test_manifests_carry_what_was_measured(released):
    _, release = released
    eager, compiled = release.manifests["eager"], release.manifests["compiled"]
    assert (eager.quality.value, eager.quality.n, eager.quality.paired) == (1.0, 64, None)
    assert (eager.row_check.independent, eager.row_check.batch_sizes) == (True, (1, 2, 5, 16))
    assert (eager.gate.outcome, compiled.gate.outcome) == ("passed", "passed")
    assert compiled.quality.paired.reference == "eager"
    assert compiled.quality.paired.difference == pytest.approx(0, abs=1e-4)
    assert compiled.speed.rows == 16
    assert compiled.target.capability.split("+")[0] == cpu_features()[0]
    assert eager.target.capability == ""
    assert eager.source.seed is None
    for portable in (release.manifests["onnx"], release.manifests["onnx-int8"]):
        assert portable.target == Target(device="cpu", capability="", torch_version="")
    assert release.manifests["onnx-int8"].size_bytes < release.manifests["onnx"].size_bytes
    fastest = max(release.variants, key=lambda variant: release.manifests[variant].speed.rows_per_s)
    assert release.index.default == fastest
    assert release.examples()["x"].shape == (8, 3, 8, 8)


def test_golden_rows_are_what_the_packed_programs_answer(released, unpacked):
    _, release = released
    assert release.index.golden.digest == file_digest(release.folder / "golden.npz")
    for variant, folder in unpacked.items():
        (golden,) = release.golden(variant)
        assert (golden.inputs, golden.output, golden.expected.shape[0]) == (("x",), "y", 8)
        assert 0.001 <= golden.tolerance <= 0.05
        answer = open_handler(folder, "cpu").infer(release.examples(), {}).arrays["y"]
        assert golden.explain_mismatch(answer) == ""
        assert "deviates by 1 of its size" in golden.explain_mismatch(2 * answer)


def test_on_a_cpu_without_its_instructions_a_release_serves_what_is_portable_and_golden_rows_say_that_it_is_right(
    released, unpacked, monkeypatch
):
    """As an archive made on AVX-512 is found by a machine with AVX2."""
    _, release = released
    monkeypatch.setattr("host.instruction_sets.cpu_flags", frozenset)
    store = Store(release.folder.parents[1], Keyring(release.folder.parents[2] / "keys"))
    served = select_variants(store, ["net"], ["all"], "cpu").versions("net")
    assert sorted(served) == ["1-eager", "1-onnx", "1-onnx-int8"]
    portable = ("onnx", "onnx-int8")
    assert served[0] == f"1-{max(portable, key=lambda name: release.manifests[name].speed.rows_per_s)}"
    for variant in portable:
        (golden,) = release.golden(variant)
        answer = open_handler(unpacked[variant], "cpu").infer(release.examples(), {}).arrays["y"]
        assert golden.explain_mismatch(answer) == ""
    for variant in ("compiled", "int8"):
        with pytest.raises(RuntimeError, match=r"was built for cpu .* and this worker is cpu \(DEFAULT"):
            open_handler(unpacked[variant], "cpu")


def test_archives_hold_exactly_what_their_manifests_list(released, unpacked):
    _, release = released
    for variant, folder in unpacked.items():
        manifest = release.manifests[variant]
        assert json.loads((folder / "manifest.json").read_text()) == json.loads(manifest.model_dump_json())
        found = {
            str(path.relative_to(folder)): file_digest(path)
            for path in folder.rglob("*")
            if path.is_file() and path.name not in ("manifest.json", "MANIFEST.json")
        }
        assert found == manifest.files
        assert f"# Model card: {manifest.model} {manifest.version}" in (unpacked[variant] / "MODEL_CARD.md").read_text()
        model = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text())["model"]
        assert (model["modelName"], model["modelVersion"]) == ("net", f"1-{variant}")


@pytest.mark.parametrize("num_rows", [1, 2, 5, 16])
def test_packed_programs_agree_for_every_row_count(unpacked, num_rows):
    x = np.random.default_rng(1).standard_normal((2 * num_rows, 3, 8, 8)).astype(np.float32)[1::2]  # a view
    answers = {
        variant: open_handler(folder, "cpu").infer({"x": x}, {}).arrays["y"] for variant, folder in unpacked.items()
    }
    size = np.abs(answers["eager"]).max()
    for variant, tolerance in {"compiled": 1e-4, "bf16": 0.05, "int8": 0.3, "onnx": 1e-4, "onnx-int8": 0.3}.items():
        if variant in answers:
            assert answers[variant].dtype == np.float32
            np.testing.assert_allclose(answers[variant], answers["eager"], atol=tolerance * size)


def test_compiled_programs_use_the_workers_threads_and_leave_nothing_in_tmp(unpacked, tmp_path):
    """They are relocatable, too: what they were built from is gone."""
    script = (
        "import sys, pathlib, torch, numpy, os; from handlers.archive import open_handler;"
        "torch.set_num_threads(2); handler = open_handler(pathlib.Path(sys.argv[1]), 'cpu');"
        "print(handler.infer({'x': numpy.ones((16, 3, 8, 8), numpy.float32)}, {}).arrays['y'].shape);"
        "print(os.listdir(os.environ['TMPDIR']))"
    )
    command = [sys.executable, "-c", script, str(unpacked["compiled"])]
    environment = {"TMPDIR": str(tmp_path), "PATH": "/nonexistent"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "(16, 10)\n[]\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either a RUN or --program"),
        (["run", "--program", "p.pt2"], "not both"),
        (["--program", "p.pt2"], "--program needs --name"),
        (["--program", "p.pt2", "--name", "net"], "p.pt2 does not exist"),
        (["nowhere"], "nowhere is no training run"),
        (["nowhere", "--margin", "0.1"], "belong to --program"),
        (["nowhere", "--range", "x=0:1"], "belong to --program"),
        (["--program", "p.pt2", "--name", "my mlp"], "--name 'my mlp' is no model name"),
        (["--program", "p.pt2", "--name", "net", "--range", "x=1"], "'x=1' is not written as NAME=LOW:HIGH"),
        (["--program", "p.pt2", "--name", "net", "--range", "x=2:1"], "holds no value: 2 is above 1"),
    ],
)
def test_errors_say_what_to_do(arguments, message):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_unknown_variants_and_devices_are_named(program_file, tmp_path, monkeypatch):
    monkeypatch.setenv("MILLRACE_KEYS", str(tmp_path / "keys"))
    base = ["--program", str(program_file), "--name", "net", "--store", str(tmp_path / "store")]
    result = CliRunner().invoke(app, [*base, "--variants", "eager,fp3"])
    assert "no variant fp3 for cpu; there are eager, compiled, bf16, int8, onnx, onnx-int8" in result.output
    assert CliRunner().invoke(app, [*base, "--device", "tpu"]).exit_code == 2
    assert Store(tmp_path / "store", Keyring(tmp_path / "keys")).models() == []


def test_a_run_is_released_under_another_name(tmp_path, monkeypatch):
    spec = ReleaseSpec(
        kind="classifier",
        description="",
        programs={},
        inputs=(),
        input_sets=(),
        outputs=(),
        held_out=HeldOut(inputs={}, score=lambda outputs: np.zeros(0), metric="", dataset=""),
        margin=0,
    )

    def refuse(spec, *others, **named):
        raise ValueError(f"{spec.model} is a {spec.kind}")

    recipes = SimpleNamespace(describe_release=lambda run, device: spec)
    monkeypatch.setattr("training.release.cli.read_run", lambda run: {"model": "classifier"})
    monkeypatch.setattr("training.release.cli.load_model", lambda model: recipes)
    monkeypatch.setattr("training.release.cli.release_model", refuse)
    assert "shoes is a classifier" in CliRunner().invoke(app, ["run", "--name", "shoes"]).output
    assert "classifier is a classifier" in CliRunner().invoke(app, ["run"]).output
