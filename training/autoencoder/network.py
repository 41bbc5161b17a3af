"""An encoder and a decoder in the form of DCGAN's two networks, and the code between them.

Dimensions: N images, Z values of a code, C channels, H height, W width.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from training.autoencoder.recipe import Recipe
from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run
from training.images.dcgan import Discriminator, Generator, Shape


class Autoencoder(nn.Module):
    """Images float32 [N, C, H, W] in [−1, 1] → images likewise, by way of codes float32 [N, Z].

    A sparse code is what of its values exceeds 0 when they have mean 0 and variance 1 over the training images: the
    decoder's first layer is normalized, so that an L1 norm would else be lowered by making the code small.
    """

    def __init__(self, recipe: Recipe, shape: Shape) -> None:
        super().__init__()
        self.is_variational = recipe.beta > 0
        self.encoder = Discriminator(
            widths=recipe.widths[::-1],
            shape=shape,
            norm="batch",
            num_outputs=2 * recipe.code_size if self.is_variational else recipe.code_size,
        )
        self.threshold = (
            nn.Sequential(nn.BatchNorm1d(recipe.code_size, affine=False), nn.ReLU()) if recipe.sparsity_weight else None
        )
        self.decoder = Generator(latent_size=recipe.code_size, widths=recipe.widths, shape=shape)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Compute codes, and where they are variational the logarithms of their variances, [N, Z] each."""
        code = self.encoder(images)
        if self.is_variational:
            mean, log_variance = code.chunk(2, dim=1)
            return mean, log_variance
        return (code if self.threshold is None else self.threshold(code)), None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What comes back of images, and their codes."""
        code, _ = self.encode(images)
        return self.decoder(code), code


def load_network(run: Path) -> tuple[Autoencoder, Recipe, dict]:
    """Rebuild a finished run's network; also return its recipe and what was stored with it.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe, stored = from_record(Recipe, read_run(run)["recipe"]), read_network(run)
    network = Autoencoder(recipe, tuple(stored["shape"]))
    network.load_state_dict(stored["network"])
    return network.requires_grad_(False).eval(), recipe, stored
