"""`make gpu-check` runs where there is nothing but Python, torch and numpy."""

from __future__ import annotations

import subprocess
import sys

# Hides what torch does not bring along, both from `import` and from `find_spec`.
SCRIPT = """
import importlib.machinery, sys

class Filter:
    hidden = {"PIL", "cryptography", "google", "grpc", "grpc_tools", "matplotlib", "onnx", "onnxruntime", "onnxscript",
              "pandas", "pydantic", "rich", "scipy", "sklearn", "structlog", "tensorboard", "torchao", "torchmetrics",
              "torchvision", "tqdm", "typer", "yaml"}
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.hidden:
            return None
        return importlib.machinery.PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [Filter() if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
from dataclasses import replace
from pathlib import Path
from training.engine.options import TrainOptions
from training.models import load_model

out = Path(sys.argv[1])
model = load_model("classifier")
tiny = {"widths": (8, 16, 16), "resolution": 20, "epochs": 1, "batch_size": 100, "validation_fraction": 1900 / 2400}
recipe = replace(model.presets["demo"], **tiny)
options = TrainOptions(model="classifier", preset="demo", data=recipe.data, data_root=out, out=out, device="cpu")
spec = model.describe_release(model.train(recipe, options), "cpu")
print(spec.description)
import torch
import training.gpu_check  # and all that builds, runs and judges variants
from training.release.variants import LeftOutError, required_capability
for variant, device in (("onnx", "cpu"), ("onnx", "cuda"), ("tensorrt", "cuda")):
    try:
        required_capability(variant, torch.device(device))
    except LeftOutError as error:
        print(error)
print(sorted(Filter.hidden & {name.partition(".")[0] for name in sys.modules}))
"""


def test_classifier_trains_and_what_releases_it_is_imported_with_torch_and_numpy_alone(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "run")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    described, *left_out, imported = done.stdout.splitlines()[-5:]
    assert (described, imported) == ("compact for glyphs: 10 classes, 20×20×1 images", "[]")
    assert left_out == ["not installed: onnx, onnxscript, onnxruntime"] * 3
    assert "generated glyphs take the place of digits" in done.stderr
