"""Which networks the beamformer can be, and where a finished run keeps its own."""

from __future__ import annotations

from pathlib import Path

from training.beamformer.data import make_channel_model
from training.beamformer.recipe import Recipe
from training.beamformer.thesis import ComplexNetwork, ResidualEncoder, ThesisBeamformer
from training.beamformer.unrolled import Beamformer, BeamformingNetwork
from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run


def build_network(recipe: Recipe) -> BeamformingNetwork:
    """Build a recipe's network, untrained."""
    model = make_channel_model(recipe)
    if recipe.network == "residual-encoder":
        return ThesisBeamformer(model, ResidualEncoder(model))
    if recipe.network == "complex-cnn":
        return ThesisBeamformer(model, ComplexNetwork(model, normalization=recipe.normalization))
    return Beamformer(
        model,
        gates=recipe.gates,
        num_first_sweeps=recipe.num_first_sweeps,
        num_hidden=recipe.num_hidden,
        num_phase_sweeps=recipe.num_phase_sweeps,
    )


def load_network(run: Path) -> tuple[BeamformingNetwork, Recipe]:
    """Rebuild a finished run's network.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe = from_record(Recipe, read_run(run)["recipe"])
    network = build_network(recipe)
    network.load_state_dict(read_network(run)["network"])
    return network.eval(), recipe
