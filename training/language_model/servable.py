"""A finished language model, as `release` wants it described."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from training.engine.runs import read_run
from training.language_model.data import Corpus, load_data
from training.language_model.network import LanguageModel, load_network
from training.language_model.ngram import NGram
from training.language_model.program import ReaderProgram, WriterProgram
from training.language_model.recipe import Recipe
from training.language_model.scores import bits_per_character, measured_half
from training.language_model.vocabularies import (
    LEARNED,
    MERGES,
    PAIRS,
    TextVocabulary,
    list_files,
    load_vocabulary,
    make_stream,
)
from training.language_model.windows import Windows, cut_windows
from training.release.spec import Baseline, HeldOut, ParameterSpec, ProgramSpec, ReleaseSpec, TensorSpec
from training.sequences.vocabulary import END

MAX_TEXT_BYTES = 16_384
# Half a window that is encoded by itself may have a piece more than it had: what is read gives place for it.
_SPARE_CHARACTERS = 8


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its programs, tensors, held-out texts and margin."""
    record = read_run(run)
    network, recipe = load_network(run)
    vocabulary = load_vocabulary(run)
    corpus = load_data(record["data"], Path(record["data_root"]))
    windows = cut_windows(corpus.test, vocabulary, recipe.context, recipe.num_windows)
    files = list_files(run)
    pieces = "characters" if not recipe.vocabulary_size and LEARNED in files else "subwords"
    return ReleaseSpec(
        kind="language_model",
        description=f"decoder-only language model of {pieces}, trained on {corpus.name}",
        programs=describe_programs(network.to(device), recipe, len(vocabulary), device),
        inputs=describe_inputs(recipe),
        input_sets=(("prompt", "continuation"),),
        outputs=OUTPUTS,
        parameters=describe_parameters(recipe),
        handler_options=describe_options(recipe, files, len(vocabulary)),
        extra_files=files,
        held_out=HeldOut(
            inputs={
                "prompt": encode_texts([text[_SPARE_CHARACTERS:] for text in windows.read]),
                "continuation": encode_texts(windows.measured),
            },
            score=make_score(windows),
            metric="bits per character, negative",
            dataset=f"{corpus.name} test",
            aggregate=lambda sums: -bits_per_character(sums),
            baseline=_guess_by_frequency(corpus, vocabulary, windows),
        ),
        margin=recipe.margin,
        examples={"prompt": encode_texts(windows.read[: recipe.num_examples])},
        max_rows=recipe.max_rows,
        streams=True,
        usage='"The list of" --stream',
        seed=record["seed"],
        run=run,
    )


def describe_programs(
    network: LanguageModel, recipe: Recipe, num_pieces: int, device: str
) -> Mapping[str, ProgramSpec]:
    """The reader of prompts and the writer's step, with rows, pieces and places free."""
    reader = ReaderProgram(network)
    writer = WriterProgram(network, num_pieces, recipe.num_candidates).to(device)
    rows = torch.export.Dim("rows", min=1, max=recipe.max_rows)
    pieces = torch.export.Dim("pieces", min=1, max=recipe.context)
    places = torch.export.Dim("places", min=1, max=recipe.context)
    prompt = torch.full((3, min(7, recipe.context - 1)), END + 1, device=device)
    with torch.no_grad():
        memory, bias, first = reader(prompt)
    num_places = min(5, recipe.context - 1)
    cache = first[None, :, :, None].repeat(num_places, 1, 1, 1, 1)
    tokens = torch.full((3, 1), END + 1, device=device)
    starts = torch.tensor([0, 1, 2], device=device)
    return {
        "reader": ProgramSpec(
            module=reader,
            example_inputs=(prompt,),
            dynamic_shapes=({0: rows, 1: pieces},),
            quantization="dynamic",
        ),
        "writer": ProgramSpec(
            module=writer,
            example_inputs=(tokens, starts, cache, memory, bias),
            dynamic_shapes=({0: rows}, {0: rows}, {0: places, 2: rows}, {1: rows, 2: pieces}, {0: rows, 1: pieces}),
            quantization="dynamic",
        ),
    }


def describe_options(recipe: Recipe, files: Mapping[str, Path], num_pieces: int) -> dict[str, object]:
    """What the handler has to know."""
    vocabulary = {"vocabulary": LEARNED} if LEARNED in files else {"vocabulary": PAIRS, "merges": MERGES}
    return {
        **vocabulary,
        # A GPT-2 has read texts without a sign in front of them.
        "begins": LEARNED in files,
        "context": recipe.context,
        "max_tokens": recipe.max_tokens,
        "num_candidates": min(recipe.num_candidates, num_pieces),
        "num_writable": num_pieces - END,
    }


def make_score(windows: Windows) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """Nats and characters [N, 2] of each measured text."""

    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.stack([-outputs["score"].astype(np.float64), windows.num_characters], 1)

    return score


def _guess_by_frequency(corpus: Corpus, vocabulary: TextVocabulary, windows: Windows) -> Baseline:
    counts = NGram(make_stream(corpus, vocabulary).numpy(), len(vocabulary), len(vocabulary) - END, order=1)
    nats = measured_half(-counts.log_probabilities(windows.pieces.numpy()))
    return Baseline(name="pieces by their frequency", scores=np.stack([nats, windows.num_characters], 1))


def encode_texts(texts: Sequence[str]) -> np.ndarray:
    """Put texts into the BYTES array that a request brings."""
    array = np.empty(len(texts), np.object_)
    array[:] = [text.encode() for text in texts]
    return array


def describe_inputs(recipe: Recipe) -> tuple[TensorSpec, ...]:
    """A prompt, and what may follow it."""
    return (
        TensorSpec(
            name="prompt",
            datatype="BYTES",
            shape=(-1,),
            meaning=f"the beginning of a text in UTF-8, of fewer than {recipe.context} pieces; it may be empty",
            max_element_bytes=MAX_TEXT_BYTES,
            size_sets_time=True,
        ),
        TensorSpec(
            name="continuation",
            datatype="BYTES",
            shape=(-1,),
            meaning="to be measured: nothing is written, and score says how likely this was to follow",
            max_element_bytes=MAX_TEXT_BYTES,
            optional=True,
        ),
    )


OUTPUTS = (
    TensorSpec(name="text", datatype="BYTES", shape=(-1,), meaning="what follows the prompt, in UTF-8"),
    TensorSpec(
        name="score",
        datatype="FP32",
        shape=(-1,),
        meaning="natural logarithm of the probability of the text after the prompt",
        maximum=0,
        singular="score",
    ),
)


def describe_parameters(recipe: Recipe) -> tuple[ParameterSpec, ...]:
    """What a request may say besides its texts."""
    most = recipe.context - 1

    def number(name: str, meaning: str, minimum: int, maximum: int) -> ParameterSpec:
        return ParameterSpec(name=name, kind="int64", meaning=meaning, minimum=minimum, maximum=maximum)

    def real(name: str, meaning: str, minimum: float, maximum: float) -> ParameterSpec:
        return ParameterSpec(name=name, kind="double", meaning=meaning, minimum=minimum, maximum=maximum)

    return (
        number("max_tokens", f"most pieces to write; {recipe.max_tokens} if absent", 1, most),
        number("min_tokens", "fewest pieces to write; 0 if absent", 0, most),
        real("temperature", "chance: log probabilities are divided by it; 0 as if absent: the likeliest piece", 0, 10),
        number("top_k", "how many of the likeliest pieces are chosen from; all if absent", 1, recipe.num_candidates),
        real("top_p", "the fewest likeliest pieces of this probability are chosen from; 1 if absent", 0.01, 1),
        real("repetition_penalty", "log probabilities of pieces that are there are multiplied by it; 1: no", 1, 10),
        number("seed", "the same seed and prompt give the same text; chance if absent", 0, 2**63 - 1),
    )
