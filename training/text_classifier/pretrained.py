"""Networks of the BERT family that start from somebody's trained weights, read from a local folder by transformers.

The folder is as `save_pretrained` leaves it: config.json, the weights, and a WordPiece tokenizer (tokenizer.json or
vocab.txt). BERT, DistilBERT, ELECTRA and MobileBERT have one; RoBERTa has another.
Dimensions: N texts, S pieces, D features.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from training.sequences.vocabulary import PAD
from training.text_classifier.subwords import PretrainedSubwords


class PretrainedEncoder(nn.Module):
    """A network of the BERT family; the text is what stands at its first sign."""

    backbone: Any  # transformers' own classes

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.num_features = int(self.backbone.config.hidden_size)

    def forward(self, pieces: Tensor) -> Tensor:
        """int64 [N, S] → [N, D]; padding changes nothing."""
        found: Tensor = self.backbone(input_ids=pieces, attention_mask=(pieces != PAD).long()).last_hidden_state
        return found[:, 0]

    def describe(self) -> dict[str, Any]:
        """What `rebuild_encoder` needs besides the weights."""
        content: dict[str, Any] = json.loads(self.backbone.config.to_json_string(use_diff=False))
        return content


def load_encoder(folder: Path) -> PretrainedEncoder:
    """Read network and weights.

    Raises:
        ValueError: transformers cannot read the folder.
    """
    from transformers import AutoModel  # takes seconds

    _check_folder(folder)
    try:
        return PretrainedEncoder(AutoModel.from_pretrained(folder, local_files_only=True, attn_implementation="eager"))
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"transformers reads no network from {folder}: {error}") from error


def rebuild_encoder(description: dict[str, Any]) -> PretrainedEncoder:
    """Build a network as `describe` told it, with random weights."""
    from transformers import AutoConfig, AutoModel  # takes seconds

    content = {name: value for name, value in description.items() if name != "model_type"}
    config = AutoConfig.for_model(description["model_type"], **content)
    return PretrainedEncoder(AutoModel.from_config(config, attn_implementation="eager"))


def load_pretrained_subwords(folder: Path) -> PretrainedSubwords:
    """Read the tokenizer's pieces.

    Raises:
        ValueError: it is no WordPiece as BERT has it.
    """
    from transformers import AutoTokenizer  # takes seconds

    _check_folder(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"transformers reads no tokenizer from {folder}: {error}") from error
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    model, normalizer = content["model"], content["normalizer"] or {}
    if model["type"] != "WordPiece" or normalizer.get("type") != "BertNormalizer":
        raise ValueError(
            f"the tokenizer in {folder} is {model['type']} after {normalizer.get('type')}; WordPiece after "
            "BertNormalizer is read, as BERT, DistilBERT and ELECTRA have it"
        )
    lowercase = bool(normalizer["lowercase"])
    strip_accents = normalizer["strip_accents"]
    pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return PretrainedSubwords(
        {
            "pieces": pieces,
            "lowercase": lowercase,
            "strip_accents": lowercase if strip_accents is None else bool(strip_accents),
        }
    )


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} has no config.json; weights_folder is one that save_pretrained has written")
