"""A finished text classifier run, as `release` wants it described."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from training.engine.runs import find_finished, read_run, refuse_other_data
from training.labels.program import CalibratedProgram
from training.labels.servable import Noun, describe_ranking, guess_majority, score_labels
from training.release.spec import HeldOut, ProgramSpec, ReleaseSpec, TensorSpec
from training.sequences.batching import pad_rows
from training.text_classifier.data import TextData, load_data
from training.text_classifier.network import TextClassifier, load_network
from training.text_classifier.recipe import Recipe
from training.text_classifier.subwords import Subwords, load_subwords

MAX_TEXT_BYTES = 65_536
_NOUN = Noun("label", "labels")


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its program, tensors, held-out texts and margin.

    Raises:
        ValueError: the run's network is an LSTM, or its data has changed.
    """
    record = read_run(run)
    if record["recipe"]["network"] == "lstm":
        raise ValueError(
            f"{run} is an lstm: it is for comparison only, because a compiler unrolls it to one fixed length; release "
            "a run with network=transformer or pretrained"
        )
    network, recipe, stored = load_network(run)
    data = load_data(record["data"], Path(record["data_root"]), validation_fraction=recipe.validation_fraction)
    refuse_other_data(run, {"labels": data.labels}, stored)
    subwords = load_subwords(run, lowercase=recipe.lowercase)
    texts = encode_texts(data.test.texts)
    outputs, top_k = describe_ranking(len(data.labels), _NOUN)
    return ReleaseSpec(
        kind="text_classifier",
        description=f"{recipe.network} for {data.name}: {', '.join(data.labels[:10])}",
        programs={"main": _describe_program(network, stored["temperature"], subwords, data, recipe, device)},
        inputs=(
            TensorSpec(
                name="text",
                datatype="BYTES",
                shape=(-1,),
                meaning=f"a text in UTF-8; its first {recipe.max_pieces} subword pieces are read, signs included",
                max_element_bytes=MAX_TEXT_BYTES,
                size_sets_time=True,
            ),
        ),
        input_sets=(("text",),),
        outputs=outputs,
        parameters=(top_k,),
        handler_options={"labels": list(data.labels), "max_pieces": recipe.max_pieces, **subwords.describe()},
        extra_files={subwords.file: run / subwords.file},
        held_out=HeldOut(
            inputs={"text": texts},
            score=score_labels(data.test.labels.numpy()),
            metric="accuracy",
            dataset=f"{data.name} test",
            binary=True,
            baseline=guess_majority(data.train.labels.numpy(), data.test.labels.numpy(), _NOUN),
        ),
        margin=recipe.margin,
        examples={"text": texts[: recipe.num_examples]},
        max_rows=recipe.max_rows,
        usage=f'"{_shorten(data.test.texts[0])}"',
        seed=record["seed"],
        run=run,
        parent=find_finished(recipe.teacher),
    )


def encode_texts(texts: Sequence[str]) -> np.ndarray:
    """Put texts into the BYTES array that a request brings."""
    array = np.empty(len(texts), np.object_)
    array[:] = [text.encode() for text in texts]
    return array


def _describe_program(
    network: TextClassifier, temperature: float, subwords: Subwords, data: TextData, recipe: Recipe, device: str
) -> ProgramSpec:
    rows = pad_rows(subwords.encode(data.train.texts[:4], recipe.max_pieces))
    num_rows = torch.export.Dim("rows", min=1, max=recipe.max_rows)
    num_pieces = torch.export.Dim("pieces", min=1, max=recipe.max_pieces)
    return ProgramSpec(
        module=CalibratedProgram(network, temperature).requires_grad_(False).to(device),
        example_inputs=(rows.to(device),),
        dynamic_shapes=({0: num_rows, 1: num_pieces},),
        quantization="dynamic",
    )


def _shorten(text: str) -> str:
    return " ".join(text.replace('"', "'").split()[:12])
