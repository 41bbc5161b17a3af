"""The classifier's recipes.

Everything a run depends on is a field of `Recipe`; `train classifier --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from training.classifier.transfer import PRETRAINED
from training.engine.bounds import check_bounds
from training.engine.device import Precision
from training.engine.normalization import NormalizationName
from training.engine.schedules import ScheduleName

Network = Literal[
    "compact",
    "resnet18",
    "plain18",
    "vgg11",
    "vgg16",
    "depthwise",
    "tempered",
    "vit",
    "deit",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "resnet18_pretrained",
    "resnet50_pretrained",
]
NORMALIZED = ("resnet18", "plain18", "vgg11", "vgg16", "depthwise")  # by what the recipe says
RETIRED = ("num_validation",)  # in records of runs whose validation part was a count
_POSITIVE = (
    "epochs",
    "batch_size",
    "accumulation",
    "lr",
    "num_calibration",
    "num_examples",
    "max_rows",
    "margin",
    "teacher_temperature",
    "patch_px",
    "token_width",
    "num_layers",
    "num_heads",
)
_NOT_NEGATIVE = (
    "shift_px",
    "cutout_px",
    "mixup_alpha",
    "cutmix_alpha",
    "patience",
    "clip_norm",
    "matrix_lr",
    "weight_decay",
    "frozen_epochs",
    "resolution",
    "max_threads",
    "privacy_epsilon",
)
_FRACTIONS = (
    "validation_fraction",
    "dropout",
    "label_smoothing",
    "average_decay",
    "pruned_fraction",
    "teacher_weight",
    "privacy_delta",
)
# What cannot be while training is private, and why.
_NOT_PRIVATE = {
    "start_from": "its weights have learned images without noise",
    "teacher": "its answers have learned images without noise",
    "quantize_aware": "it observes the ranges of single images",
    "cutout_px": "what is covered gets the mean of all images",
    "mixup_alpha": "a mixture has no image to itself",
    "cutmix_alpha": "a mixture has no image to itself",
    "recompute": "gradients of single images are taken as layers are passed, and it passes them twice",
}
_LEAST_PRIVATE_BATCH = 32  # images in the mean: a step may draw any number, and with this mean none but by 1 in 10^14


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one classifier is made; `lr` belongs to the optimizer of the network."""

    network: Annotated[Network, "which network"] = "compact"
    widths: Annotated[tuple[int, ...], "channels of the compact network's stages"] = (64, 256, 256)
    depth: Annotated[int, "convolutions in a stage of the compact network, 2 or 3"] = 2
    whiten_kernel: Annotated[int, "side of the compact network's whitening filters, in pixels"] = 2
    whiten_epochs: Annotated[int, "epochs in which the whitening layer's bias is trained"] = 3
    attention: Annotated[Literal["none", "se", "cbam"], "attention in the blocks of resnet18 and plain18"] = "none"
    normalization: Annotated[NormalizationName, "of the feature maps of resnet18, plain18, vgg and depthwise"] = "batch"
    dropout: Annotated[
        float,
        "share of features left out in front of the last layer of vgg and depthwise, in each layer of vit and deit",
    ] = 0.0
    patch_px: Annotated[int, "side of the patches that vit and deit see, in pixels"] = 4
    stem: Annotated[Literal["patches", "convolutions"], "how vit and deit read patches: each alone, or with others"] = (
        "patches"
    )
    token_width: Annotated[int, "features of each patch in vit and deit"] = 64
    num_layers: Annotated[int, "layers of vit and deit"] = 4
    num_heads: Annotated[int, "attention heads in each layer of vit and deit"] = 4
    weights_file: Annotated[str | None, "torchvision state dict (.pth) to start from"] = None
    frozen_epochs: Annotated[int, "epochs in which only the new last layer of such a network is trained"] = 0
    start_from: Annotated[str | None, "finished run of the same network whose weights training starts from"] = None
    pruned_fraction: Annotated[float, "share of the channels of start_from that are removed first"] = 0.0
    pruned_layers: Annotated[tuple[str, ...], "parts of the network whose layers lose channels; all if empty"] = ()
    teacher: Annotated[str | None, "finished run on the same data whose answers are learned beside the labels"] = None
    teacher_weight: Annotated[float, "share of the loss that the teacher's answers have"] = 0.9
    teacher_temperature: Annotated[float, "temperature at which teacher and student are compared"] = 4.0
    teacher_answers: Annotated[
        Literal["soft", "hard"], "what is learned from the teacher: all its softened probabilities, or its choice"
    ] = "soft"
    quantize_aware: Annotated[bool, "train with the rounding of int8 in place"] = False
    layer_decay: Annotated[float, "learning rate of a layer relative to that above it"] = 1.0

    data: Annotated[str, "data set where --data is not given"] = "fashion-mnist"
    validation_fraction: Annotated[float, "share of the training images that validates, of many at least 50"] = 1 / 30
    resolution: Annotated[int, "side in pixels to which images are resized; 0 keeps their own size"] = 0
    flip: Annotated[bool, "mirror training images in every second epoch"] = True
    shift_px: Annotated[int, "farthest random shift of training images, in pixels"] = 2
    cutout_px: Annotated[int, "side of a square covered in each training image, in pixels"] = 0
    mixup_alpha: Annotated[
        float, "α of the Beta distribution by which training images are blended in pairs; 0: not"
    ] = 0.0
    cutmix_alpha: Annotated[float, "the same of those that get a rectangle of another; 0: not"] = 0.0

    epochs: Annotated[float, "passes through the training images"] = 10.0
    batch_size: Annotated[int, "images in a step"] = 500
    accumulation: Annotated[int, "parts of a step's batch that are worked through, and normalized, one by one"] = 1
    recompute: Annotated[bool, "compute a ViT's activations again in the backward pass, to hold fewer"] = False
    lr: Annotated[float, "highest learning rate, for the batch size given"] = 0.12
    matrix_lr: Annotated[
        float, "highest learning rate of Muon, which has the matrices and filters of vit and deit; 0: Adam has them"
    ] = 0.0
    momentum: Annotated[float, "momentum of stochastic gradient descent"] = 0.9
    weight_decay: Annotated[float, "weight decay"] = 1e-3
    schedule: Annotated[ScheduleName, "learning rate over time"] = "one-cycle"
    warmup_fraction: Annotated[float, "share of the steps over which the learning rate rises"] = 0.0
    label_smoothing: Annotated[float, "share of the target that is spread over all classes"] = 0.1
    clip_norm: Annotated[
        float, "norm to which gradients are clipped, with privacy_epsilon that of each image; 0 does not clip"
    ] = 0.0
    privacy_epsilon: Annotated[
        float, "ε of differential privacy for each training image; smaller is more private; 0: not private"
    ] = 0.0
    privacy_delta: Annotated[float, "δ of it, the risk that ε does not hold; below 1 / training images"] = 1e-5
    average_decay: Annotated[float, "decay of the average of weights, which is released; 0: none"] = 0.0
    patience: Annotated[int, "validations without a better accuracy before the run stops; 0 never stops early"] = 0
    precision: Annotated[Precision, "arithmetic; auto is bf16 where the device multiplies it"] = "auto"
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0

    test_flip: Annotated[bool, "average each answer over both mirror images"] = False
    margin: Annotated[float, "accuracy that a released variant may lose, as a share"] = 0.003
    num_calibration: Annotated[int, "training images that quantization is calibrated with"] = 256
    num_examples: Annotated[int, "test images that a release carries as examples"] = 16
    max_rows: Annotated[int, "most images in a served batch"] = 64

    def __post_init__(self) -> None:
        check_bounds(self, positive=_POSITIVE, not_negative=_NOT_NEGATIVE, fractions=_FRACTIONS)
        if self.weights_file and self.network not in PRETRAINED:
            raise ValueError(f"weights_file goes with network {', '.join(PRETRAINED)}; got {self.network}")
        if self.network == "deit" and not self.teacher:
            raise ValueError(
                "network deit has a token that learns from a teacher: set teacher to a finished run, or use vit"
            )
        if self.quantize_aware and self.network == "deit":
            raise ValueError("quantize_aware rounds networks of one answer, and deit gives two; use vit")
        if self.recompute and self.network not in ("vit", "deit"):
            raise ValueError(f"recompute is for the layers of vit and deit, and network is {self.network}")
        if self.pruned_fraction and not self.start_from:
            raise ValueError("pruned_fraction removes channels of a trained network: set start_from to a finished run")
        if self.normalization != "batch" and self.network not in NORMALIZED:
            raise ValueError(
                f"normalization is chosen in {', '.join(NORMALIZED)}, and {self.network} has its own: leave it at batch"
            )
        if self.normalization != "batch" and self.pruned_fraction:
            raise ValueError(
                f"channels normalized together cannot be pruned one by one: normalization is {self.normalization}, "
                "set batch or leave pruned_fraction at 0"
            )
        if self.pruned_layers and not self.pruned_fraction:
            raise ValueError("pruned_layers says where channels are removed: set pruned_fraction to how many")
        if self.quantize_aware and self.precision == "bf16":
            raise ValueError("quantize_aware rounds float32 values; set precision to fp32 or auto")
        if self.privacy_epsilon:
            self._check_private()

    def _check_private(self) -> None:
        for name, why in _NOT_PRIVATE.items():
            if getattr(self, name):
                raise ValueError(f"privacy_epsilon does not go together with {name}: {why}")
        if not (self.clip_norm and self.privacy_delta):
            raise ValueError("privacy_epsilon hides clipped gradients, but for a risk: set clip_norm and privacy_delta")
        if self.accumulation > 1:
            raise ValueError("privacy_epsilon takes a step's images at once; set accumulation=1")
        if self.batch_size < _LEAST_PRIVATE_BATCH:
            raise ValueError(
                f"privacy_epsilon draws a step's images by chance, and of {self.batch_size} it may draw none; set "
                f"batch_size={_LEAST_PRIVATE_BATCH} or more"
            )


# The demo's 540 test rows: two variants that disagree on 3 of them already leave an interval of ±0.6 points, so a
# margin of 0.3 could never be shown; 1.5 points is what so few rows can resolve. One thread, because steps this small
# gain little from a second one and become ten times slower when another process wants its core.
DEMO = Recipe(
    data="digits",
    validation_fraction=0.125,
    resolution=32,
    widths=(32, 64, 64),
    flip=False,
    epochs=12,
    batch_size=50,
    lr=0.1,
    margin=0.015,
    max_threads=1,
)
# Sized for half an hour on two cores: a step of 500 Fashion-MNIST images took 1.6 s of processor time (AMD EPYC, bf16,
# other work on the machine), and 18 epochs are 2,088 steps.
FULL = Recipe(
    data="fashion-mnist",
    epochs=18,
    batch_size=500,
    lr=0.12,
    weight_decay=1e-3,
    label_smoothing=0.2,
    cutout_px=8,
    test_flip=True,
)
RESNET18 = Recipe(
    data="fashion-mnist",
    network="resnet18",
    epochs=3,
    batch_size=128,
    lr=0.1,
    weight_decay=5e-4,
    warmup_fraction=0.3,
    shift_px=1,
    label_smoothing=0.05,
)
# 16 patches, one layer and Muon: in the time of `compact` with widths 32, 64, 64 the number of steps counts most. Rates
# were tried on validation images in runs of 10 to 20 s; so were 49 patches, two layers, more features and a wider stem.
VIT = Recipe(
    data="fashion-mnist",
    network="vit",
    patch_px=8,
    stem="convolutions",
    token_width=64,
    num_layers=1,
    num_heads=2,
    shift_px=0,
    epochs=3,
    batch_size=128,
    lr=0.003,
    matrix_lr=0.03,
    weight_decay=0.05,
    warmup_fraction=0.2,
    label_smoothing=0.0,
)
# Fewer epochs, because the teacher's answers take half of a step.
DEIT = replace(
    VIT, network="deit", epochs=1.6, teacher="runs/classifier/full", teacher_weight=0.5, teacher_answers="hard"
)
DEPTHWISE = replace(RESNET18, network="depthwise", epochs=5)
# Large steps, because noise is added once a step however many images it has.
PRIVATE = Recipe(
    data="fashion-mnist",
    network="tempered",
    privacy_epsilon=3.0,
    clip_norm=1.0,
    flip=False,
    shift_px=0,
    epochs=15,
    batch_size=1000,
    lr=0.5,
    weight_decay=0.0,
    label_smoothing=0.0,
    schedule="cosine",
)

PRESETS: dict[str, Recipe] = {
    "demo": DEMO,
    "full": FULL,
    "resnet18": RESNET18,
    "vit": VIT,
    "deit": DEIT,
    "depthwise": DEPTHWISE,
    "private": PRIVATE,
}
