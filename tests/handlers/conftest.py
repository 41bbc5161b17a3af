import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from handlers.target import describe_host
from training.release.capture import capture
from training.release.content import add_worker, lay_out
from training.release.spec import HeldOut, ParameterSpec, ProgramSpec, ReleaseSpec, TensorSpec

CPU = torch.device("cpu")
LABELS = ("dark", "middle", "bright")
PORTABLE = {"device": "cpu", "capability": "", "torch_version": ""}
BRIGHTNESS_ONNX = """
<ir_version: 10, opset_import: ["": 20]>
brightness (uint8[rows, 8, 6, 3] images) => (float[rows, 3] probabilities)
<int64[1] axes = {1}, float[1, 3] levels = {0, 128, 255}, float[1] scale = {-4000}>
{
    pixels = Cast <to = 1> (images)
    flat = Flatten (pixels)
    mean = ReduceMean (flat, axes)
    distance = Sub (mean, levels)
    squared = Mul (distance, distance)
    logits = Div (squared, scale)
    probabilities = Softmax <axis = 1> (logits)
}
"""


class Brightness(torch.nn.Module):
    """Classify uint8 images [N, 8, 6, C] by their mean: dark, middle or bright."""

    def forward(self, images_NHWC):
        mean = images_NHWC.float().flatten(1).mean(1, keepdim=True)
        return (-((mean - torch.tensor([[0.0, 128.0, 255.0]])) ** 2) / 4000).softmax(1)


def describe_brightness(channels=3) -> ReleaseSpec:
    images = np.stack([np.full((8, 6, channels), level, np.uint8) for level in (0, 128, 255)])
    truth = np.arange(3)
    return ReleaseSpec(
        name="brightness",
        description="how bright an image is",
        kind="classifier",
        programs={
            "main": ProgramSpec(
                module=Brightness(),
                example_inputs=(torch.from_numpy(images),),
                dynamic_shapes=({0: torch.export.Dim("rows", min=1, max=16)},),
            )
        },
        inputs=(
            TensorSpec(name="image", datatype="UINT8", shape=(-1, 8, 6, channels), meaning="image"),
            TensorSpec(name="encoded", datatype="BYTES", shape=(-1,), meaning="image file"),
        ),
        input_sets=(("image",), ("encoded",)),
        outputs=(
            TensorSpec(
                name="probabilities", datatype="FP32", shape=(-1, 3), meaning="of each class", singular="probability"
            ),
            TensorSpec(name="label", datatype="BYTES", shape=(-1,), meaning="of the best class"),
        ),
        parameters=(
            ParameterSpec(name="top_k", kind="int64", meaning="classes", minimum=1, maximum=3, readable_default=3),
        ),
        handler_options={"labels": list(LABELS), "height": 8, "width": 6, "channels": channels, "max_pixels": 10_000},
        held_out=HeldOut(
            inputs={"image": images},
            score=lambda outputs: (outputs["probabilities"].argmax(1) == truth).astype(float),
            metric="accuracy",
            dataset="three levels",
            binary=True,
        ),
        margin=0.01,
        max_rows=16,
    )


def lay_out_eager(spec: ReleaseSpec, folder: Path) -> Path:
    """Lay out the content of an eager variant's archive; returns its folder."""
    programs = {}
    for role, program in spec.programs.items():
        programs[role] = folder / f"{role}.pt2"
        torch.export.save(capture(program, CPU), programs[role])
    content = folder / "content"
    content.mkdir()
    target = describe_host(CPU) | {"capability": ""}
    lay_out(content, spec, release=2, variant="eager", programs=programs, target=target)
    add_worker(content, spec.kind, target)
    return content


@pytest.fixture(scope="session")
def content(tmp_path_factory):
    """The unpacked archive of a classifier."""
    return lay_out_eager(describe_brightness(), tmp_path_factory.mktemp("brightness"))


@pytest.fixture(scope="session")
def portable_content(tmp_path_factory):
    """The unpacked archive of the same classifier, run by onnxruntime."""
    folder = tmp_path_factory.mktemp("portable")
    onnx.save(onnx.parser.parse_model(BRIGHTNESS_ONNX), folder / "program.onnx")
    content = folder / "content"
    content.mkdir()
    spec, programs = describe_brightness(), {"main": folder / "program.onnx"}
    lay_out(content, spec, release=2, variant="onnx", programs=programs, target=PORTABLE)
    add_worker(content, spec.kind, PORTABLE)
    return content


@pytest.fixture
def manifest(content):
    return json.loads((content / "manifest.json").read_text())
