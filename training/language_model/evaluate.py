"""What a finished run is worth on documents that nothing was trained on, beside an interpolated 5-gram.

Both predict the same pieces: the second halves of windows, of which the network has read the first. Bits are counted
per character, so that vocabularies compare. Intervals are bootstrapped over windows, differences are paired.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.engine.runs import write_json
from training.engine.seeds import generator_for
from training.language_model.data import Corpus
from training.language_model.network import LanguageModel, load_network
from training.language_model.ngram import NGram
from training.language_model.pictures import draw_bits_by_place
from training.language_model.scores import begin, bits_per_character, measured_half, surprise_of_network
from training.language_model.vocabularies import TextVocabulary, load_vocabulary, make_stream
from training.language_model.windows import cut_windows
from training.release.statistics import bootstrap_interval, paired_bootstrap
from training.sequences.vocabulary import END

EVALUATION, PREDICTIONS, SAMPLES = "evaluation.json", "predictions.npz", "samples.txt"
_NUM_SAMPLES, _SAMPLE_SEED, _TEMPERATURE = 4, 20_260_102, 0.7


def evaluate_run(run: Path, corpus: Corpus) -> dict[str, Any]:
    """Measure a finished run, write evaluation.json, predictions.npz, samples and a picture; returns the headline."""
    network, recipe = load_network(run)
    vocabulary = load_vocabulary(run)
    windows = cut_windows(corpus.test, vocabulary, recipe.context, recipe.num_windows)
    stream = make_stream(corpus, vocabulary).numpy()
    grams = NGram(stream, len(vocabulary), len(vocabulary) - END)
    surprises = {
        "network": surprise_of_network(network, windows.pieces),
        "5-gram": -grams.log_probabilities(windows.pieces.numpy()),
    }
    sums = {
        method: np.stack([measured_half(surprise), windows.num_characters], 1) for method, surprise in surprises.items()
    }
    figures: dict[str, Any] = {"dataset": f"{corpus.name} test", "n": len(windows), "training_pieces": len(stream)}
    for method, own in sums.items():
        bits = bits_per_character(own)
        figures[method] = {
            "bits_per_character": bits,
            "interval": bootstrap_interval(own, bits_per_character),
            "perplexity_per_character": 2**bits,
            "perplexity_per_piece": math.exp(own[:, 0].sum() / (len(windows) * (recipe.context // 2))),
        }
    low, high, p_value = paired_bootstrap(sums["network"], sums["5-gram"], bits_per_character)
    difference = figures["network"]["bits_per_character"] - figures["5-gram"]["bits_per_character"]
    figures["network − 5-gram"] = {"difference": difference, "interval": (low, high), "p_value": p_value}
    write_json(run / EVALUATION, figures)
    np.savez_compressed(
        run / PREDICTIONS,
        nats=sums["network"][:, 0],
        characters=windows.num_characters,
        texts=np.array(windows.measured),
    )
    (run / SAMPLES).write_text(write_samples(network, vocabulary, windows.pieces))
    if importlib.util.find_spec("matplotlib") is not None:
        draw_bits_by_place(surprises, run / "bits_by_place.png")
    own_figures = figures["network"]
    return {
        "n": len(windows),
        "bits_per_character": round(own_figures["bits_per_character"], 4),
        "interval": [round(end, 4) for end in own_figures["interval"]],
        "bits_per_character_5gram": round(figures["5-gram"]["bits_per_character"], 4),
        "minus_5gram": [round(value, 4) for value in (difference, low, high)],
    }


@torch.no_grad()
def write_samples(network: LanguageModel, vocabulary: TextVocabulary, pieces: torch.Tensor) -> str:
    """How the network goes on after the first quarter of some windows int64 [N, C], drawn at a temperature."""
    generator = generator_for(_SAMPLE_SEED)
    chosen = pieces[np.linspace(0, len(pieces) - 1, min(_NUM_SAMPLES, len(pieces))).astype(int)]
    num_read, context = pieces.shape[1] // 4, pieces.shape[1]
    written = chosen[:, : num_read + 1]
    while written.shape[1] < context:
        logits = network.eval()(begin(torch.cat([written, written[:, :1]], 1))[:, :context])[:, -1]
        logits[:, : END + 1] = -math.inf
        drawn = torch.multinomial((logits.cpu() / _TEMPERATURE).softmax(-1), 1, generator=generator)
        written = torch.cat([written, drawn], 1)
    texts = [vocabulary.decode([row[:num_read], row[num_read:]]) for row in written.tolist()]
    return "\n\n".join(f"{read}⟨…⟩{more}" for read, more in texts) + "\n"
