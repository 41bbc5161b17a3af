"""A trained Transformer as a CTranslate2 model, for comparison; needs the group `peers`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from training.seq2seq.transformer import DecoderLayer, Transformer
from training.sequences.attention import CrossAttention, SelfAttention
from training.sequences.encoder import EncoderLayer, FeedForward


def save_for_ctranslate2(network: Transformer, pieces: list[str], folder: Path, *, quantization: str | None) -> None:
    """Write a network's weights in CTranslate2's format; `pieces` are the vocabulary's names in order.

    Raises:
        ModuleNotFoundError: ctranslate2 is not installed.
    """
    from ctranslate2.specs import TransformerSpec  # of the group `peers`, which few install

    layer = network.encoder[0]
    assert isinstance(layer, EncoderLayer)
    spec = TransformerSpec.from_config(
        (len(network.encoder), len(network.decoder)), layer.attention.num_heads, pre_norm=layer.pre_norm
    )
    spec.config.layer_norm_epsilon = nn.LayerNorm(1).eps
    for side, layers, norm in (
        (spec.encoder, network.encoder, network.norms[0]),
        (spec.decoder, network.decoder, network.norms[1]),
    ):
        side.position_encodings.encodings = _array(network.positions)
        if layer.pre_norm:
            _set_norm(side.layer_norm, norm)
        for place, source in zip(side.layer, layers, strict=True):
            _set_layer(place, source)
    spec.encoder.embeddings[0].weight = _array(network.embedding.weight)
    spec.decoder.embeddings.weight = _array(network.embedding.weight)
    spec.decoder.projection.weight = _array(network.embedding.weight)
    spec.register_source_vocabulary(pieces)
    spec.register_target_vocabulary(pieces)
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))


def _set_layer(place: Any, layer: nn.Module) -> None:
    assert isinstance(layer, EncoderLayer | DecoderLayer)
    _set_attention(place.self_attention, layer.attention, layer.norms[0])
    if isinstance(layer, DecoderLayer):
        _set_attention(place.attention, layer.cross_attention, layer.norms[1])
    _set_feed_forward(place.ffn, layer.feed_forward, layer.norms[-1])


def _set_attention(place: Any, attention: SelfAttention | CrossAttention, norm: nn.Module) -> None:
    layers = [attention.output]
    if isinstance(attention, SelfAttention):
        layers.insert(0, attention.project)
    else:
        layers[:0] = [attention.query, attention.key_value]
    for linear, source in zip(place.linear, layers, strict=True):
        _set_linear(linear, source)
    _set_norm(place.layer_norm, norm)


def _set_feed_forward(place: Any, feed_forward: FeedForward, norm: nn.Module) -> None:
    _set_linear(place.linear_0, feed_forward[0])
    _set_linear(place.linear_1, feed_forward[2])
    _set_norm(place.layer_norm, norm)


def _set_linear(place: Any, layer: nn.Module) -> None:
    assert isinstance(layer, nn.Linear)
    place.weight, place.bias = _array(layer.weight), _array(layer.bias)


def _set_norm(place: Any, norm: nn.Module) -> None:
    assert isinstance(norm, nn.LayerNorm)
    place.gamma, place.beta = _array(norm.weight), _array(norm.bias)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
