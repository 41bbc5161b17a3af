"""Which networks the beamformer can be, and where a finished run keeps its own."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from training.beamformer.channel import ChannelModel
from training.beamformer.data import make_channel_model
from training.beamformer.denoiser import Denoiser
from training.beamformer.map_denoiser import MapDenoiser
from training.beamformer.recipe import Recipe
from training.beamformer.thesis import ComplexNetwork, ResidualEncoder, ThesisBeamformer
from training.beamformer.unrolled import Beamformer, BeamformingNetwork
from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run


def build_network(recipe: Recipe, model: ChannelModel) -> BeamformingNetwork:
    """Build a recipe's network for the arrays of a channel model, untrained."""
    if recipe.network == "residual-encoder":
        return ThesisBeamformer(model, ResidualEncoder(model))
    if recipe.network == "complex-cnn":
        return ThesisBeamformer(model, ComplexNetwork(model, normalization=recipe.normalization))
    return Beamformer(model, _build_denoiser(recipe, model), num_phase_sweeps=recipe.num_phase_sweeps)


def _build_denoiser(recipe: Recipe, model: ChannelModel) -> nn.Module:
    if recipe.network == "unet":
        return MapDenoiser(width=recipe.unet_width, normalization=recipe.normalization)
    return Denoiser(
        model.receive_shape,
        model.transmit_shape,
        gates=recipe.gates,
        num_first_sweeps=recipe.num_first_sweeps,
        num_hidden=recipe.num_hidden,
    )


def load_network(run: Path, model: ChannelModel | None = None) -> tuple[BeamformingNetwork, Recipe]:
    """Rebuild a finished run's network, for its own arrays or those of another channel model.

    Raises:
        FileNotFoundError: the run did not finish.
        ValueError: the network is bound to the size of its own arrays.
    """
    recipe, weights = from_record(Recipe, read_run(run)["recipe"]), read_network(run)["network"]
    network = build_network(recipe, model or make_channel_model(recipe))
    for name, value in network.state_dict().items():
        if value.shape != weights[name].shape:
            raise ValueError(
                f"{name} has shape {list(weights[name].shape)}, and other arrays would need {list(value.shape)}: "
                f"{run} works with its own arrays alone"
            )
    network.load_state_dict(weights)
    return network.eval(), recipe
