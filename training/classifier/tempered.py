"""A small convolutional network whose features cannot grow: made to be trained with noise on its gradients.

Nothing is normalized over a batch, so each image has a gradient of its own, and tanh bounds what reaches the next
layer, so that few of these gradients are clipped.
Source: Papernot et al. 2021, Tempered Sigmoid Activations for Deep Learning with Differential Privacy,
https://arxiv.org/abs/2007.14191, table 1.
Dimensions: N images, C channels, H height, W width.
"""

from __future__ import annotations

from torch import Tensor, nn

_MIN_SIDE = 16


class TemperedNetwork(nn.Module):
    """Images float32 [N, C, H, W], normalized, H and W at least 16 → logits [N, classes]."""

    def __init__(self, *, shape: tuple[int, int, int], num_classes: int) -> None:
        """Take the shape (height, width, channels) of the images.

        Raises:
            ValueError: they are too small for its filters.
        """
        super().__init__()
        height, width, channels = shape
        if min(height, width) < _MIN_SIDE:
            raise ValueError(
                f"network tempered takes images of {_MIN_SIDE}×{_MIN_SIDE} and more, these are {height}×{width}; "
                f"set resolution={_MIN_SIDE} or more"
            )
        self.filters = nn.Sequential(
            nn.Conv2d(channels, 16, 8, 2, padding=2),
            nn.Tanh(),
            nn.MaxPool2d(2, 1),
            nn.Conv2d(16, 32, 4, 2),
            nn.Tanh(),
            nn.MaxPool2d(2, 1),
        )
        num_features = 32 * _count_places(height) * _count_places(width)
        self.hidden = nn.Linear(num_features, 32)
        self.activation = nn.Tanh()
        self.head = nn.Linear(32, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.activation(self.hidden(self.filters(x).flatten(1))))


def _count_places(side: int) -> int:
    """Places along one side behind both convolutions and both poolings."""
    first = (side + 4 - 8) // 2 + 1 - 1
    return (first - 4) // 2 + 1 - 1
