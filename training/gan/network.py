"""Which networks a recipe names: the generator, and the one that it is trained with."""

from __future__ import annotations

from training.gan.growing import GrowingDiscriminator, GrowingGenerator
from training.gan.recipe import Recipe
from training.gan.style import StyleGenerator
from training.images.dcgan import Discriminator, Generator
from training.images.splits import ImageData

AnyGenerator = Generator | StyleGenerator


def build_generator(recipe: Recipe, shape: tuple[int, int, int], num_classes: int) -> AnyGenerator:
    """Build a recipe's generator with random weights."""
    if recipe.generator == "style":
        return StyleGenerator(
            latent_size=recipe.latent_size,
            style_size=recipe.style_size,
            num_mappings=recipe.num_mappings,
            mixing_share=recipe.mixing_share,
            widths=recipe.widths,
            shape=shape,
            num_classes=num_classes if recipe.conditional else 0,
        )
    return (GrowingGenerator if recipe.growth else Generator)(
        latent_size=recipe.latent_size,
        widths=recipe.widths,
        shape=shape,
        num_classes=num_classes if recipe.conditional else 0,
    )


def build_opponent(recipe: Recipe, data: ImageData) -> Discriminator:
    """Build the discriminator, or what is the same network with other outputs, the encoder."""
    encodes = recipe.method == "variational"
    return (GrowingDiscriminator if recipe.growth else Discriminator)(
        widths=recipe.discriminator_widths or recipe.widths[::-1],
        shape=data.shape,
        norm=recipe.discriminator_norm,
        num_classes=len(data.labels) if recipe.conditional and not encodes else 0,
        num_outputs=2 * recipe.latent_size if encodes else 1,
        classifies=recipe.class_weight > 0 and not encodes,
        sees_batch=recipe.sees_batch,
    )
