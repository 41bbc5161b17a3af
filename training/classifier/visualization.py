"""What a trained network sees: its filters' answers to an image, images that its classes like best, its gradients.

Dimensions: N images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.classifier.program import Program
from training.classifier.resnet import ResNet18

_CIFAR_WIDTHS = (16, 32, 64)  # of the published networks of 20 and 56 layers
_LEVEL, _NOISE = 128.0, 8.0  # of the images that an ascent begins with, in units of the 8-bit pixel
_BLUR_EVERY = 4


def list_convolutions(network: nn.Module) -> list[tuple[str, nn.Conv2d]]:
    """A network's convolutions of more than one pixel, named, in the order in which it holds them."""
    return [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1)
    ]


@torch.no_grad()
def record_feature_maps(network: nn.Module, image_NCHW: Tensor) -> dict[str, Tensor]:
    """Answers [C, H, W] of each convolution to one normalized image, by the layer's name."""
    maps: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _module, _given, answer, name=name: maps.update({name: answer[0]}))
        for name, module in list_convolutions(network)
    ]
    try:
        network.eval()(image_NCHW)
    finally:
        for hook in hooks:
            hook.remove()
    return maps


def maximize_logits(program: Program, shape: tuple[int, int, int], num_classes: int, *, num_steps: int) -> Tensor:
    """For each class an image, uint8 [K, H, W, C], that raises its logit over the others' mean, from grey noise.

    Every few steps the image is blurred and it is moved by a pixel: without both, only noise of high frequency comes
    out. Sources: Erhan et al. 2009, Visualizing Higher-Layer Features of a Deep Network; Yosinski et al. 2015,
    https://arxiv.org/abs/1506.06579, section 3.
    """
    generator = torch.Generator().manual_seed(0)
    images = _LEVEL + _NOISE * torch.randn((num_classes, *shape), generator=generator)
    for step in range(num_steps):
        moves = torch.randint(-1, 2, (2,), generator=generator).tolist()
        images = images.detach().requires_grad_()
        logits = program.logits(images.roll(moves, (1, 2)))
        (logits.diagonal() - logits.mean(1)).sum().backward()
        gradient = images.grad
        assert gradient is not None
        size = gradient.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-12)
        images = (images.detach() + 2 * gradient / size).clamp(0, 255)
        if step % _BLUR_EVERY == 0:
            images = _blur(images)
    return images.round().to(torch.uint8)


def measure_gradient_flow(
    images_NCHW: Tensor, labels: Tensor, *, blocks_per_stage: int, shortcuts: bool
) -> list[float]:
    """‖gradient‖ / ‖weights‖ of each 3×3 convolution of a new residual or plain network, from the input to the end.

    Source: He et al. 2016, https://arxiv.org/abs/1512.03385, section 4.2, whose networks of 6n + 2 layers these are.
    """
    torch.manual_seed(0)
    network = ResNet18(
        channels=images_NCHW.shape[1],
        num_classes=int(labels.max()) + 1,
        resolution=0,
        widths=_CIFAR_WIDTHS,
        blocks_per_stage=blocks_per_stage,
        shortcuts=shortcuts,
    )
    F.cross_entropy(network(images_NCHW), labels).backward()
    weights = [module.weight for _, module in list_convolutions(network)]
    return [float(weight.grad.norm() / weight.detach().norm()) for weight in weights if weight.grad is not None]


def _blur(images_NHWC: Tensor) -> Tensor:
    kernel = torch.tensor([1.0, 6.0, 1.0]) / 8
    channels = images_NHWC.shape[3]
    weight = (kernel[:, None] * kernel).expand(channels, 1, 3, 3)
    padded = F.pad(images_NHWC.permute(0, 3, 1, 2), (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, weight, groups=channels).permute(0, 2, 3, 1)
