"""Weights of a GPT-2, from a folder as `transformers` saves it: config.json, vocab.json, merges.txt, and
model.safetensors or pytorch_model.bin.

Source: huggingface/transformers, models/gpt2 (its linear layers are stored as [inputs, outputs]).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.language_model.network import LanguageModel
from training.language_model.vocabularies import PAIRS
from training.sequences.vocabulary import BEGIN, END

_SAFE, _PICKLED = "model.safetensors", "pytorch_model.bin"
_ACTIVATION = "gelu_new"
_LAYER = {
    "ln_1": "norms.0",
    "ln_2": "norms.1",
    "attn.c_attn": "attention.project",
    "attn.c_proj": "attention.output",
    "mlp.c_fc": "feed_forward.0",
    "mlp.c_proj": "feed_forward.2",
}


def read_sizes(folder: Path) -> dict[str, int]:
    """The recipe's fields that a GPT-2's config.json sets.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it describes another network.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no config.json; give the folder of a GPT-2 as transformers saves it")
    config: dict[str, Any] = json.loads(path.read_text())
    activation, inner = config.get("activation_function", _ACTIVATION), config.get("n_inner") or 4 * config["n_embd"]
    if config.get("model_type") != "gpt2" or activation != _ACTIVATION or inner != 4 * config["n_embd"]:
        raise ValueError(
            f"{path} describes a {config.get('model_type')} with {activation} and {inner} inner features; this network "
            f"takes a gpt2 with {_ACTIVATION} and {4 * config['n_embd']}"
        )
    return {
        "width": config["n_embd"],
        "num_layers": config["n_layer"],
        "num_heads": config["n_head"],
        "context": config.get("n_positions", 1024),
    }


def load_weights(network: LanguageModel, folder: Path) -> None:
    """Fill a network with a folder's weights; the signs of this house stand before GPT-2's pieces.

    Raises:
        FileNotFoundError: the folder has no weights.
        ValueError: its weights are not those of its config.json.
    """
    stored = {name.removeprefix("transformer."): tensor for name, tensor in _read_tensors(folder).items()}
    try:
        state = {
            "embedding.weight": _place_pieces(stored["wte.weight"], folder),
            "positions": stored["wpe.weight"],
            "norm.weight": stored["ln_f.weight"],
            "norm.bias": stored["ln_f.bias"],
        }
        for layer in range(len(network.layers)):
            for theirs, ours in _LAYER.items():
                weight = stored[f"h.{layer}.{theirs}.weight"]
                state[f"layers.{layer}.{ours}.weight"] = weight.T if weight.dim() == 2 else weight
                state[f"layers.{layer}.{ours}.bias"] = stored[f"h.{layer}.{theirs}.bias"]
        network.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"the weights in {folder} are not those of its config.json and {PAIRS}: {error}") from None


def _place_pieces(embedding: Tensor, folder: Path) -> Tensor:
    """Rows [V, D] in this house's order: its four signs, of which GPT-2 knows one, and all others as they came."""
    end = json.loads((folder / PAIRS).read_text())["<|endoftext|>"]
    signs = torch.zeros(END + 1, embedding.shape[1])
    signs[[BEGIN, END]] = embedding[end]
    return torch.cat([signs, embedding[:end], embedding[end + 1 :]])


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    if (folder / _SAFE).is_file():
        from safetensors.torch import load_file  # comes with transformers

        return load_file(folder / _SAFE)
    if (folder / _PICKLED).is_file():
        stored: dict[str, Tensor] = torch.load(folder / _PICKLED, map_location="cpu", weights_only=True)
        return stored
    raise FileNotFoundError(f"{folder} has neither {_SAFE} nor {_PICKLED}")
