"""A finished run of what draws captions, as `release` wants it described.

Dimensions: N images, Z latent values, S pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.engine.device import place
from training.engine.runs import read_run, refuse_other_data
from training.engine.seeds import generator_for
from training.images.servable import DEFAULT_OUTPUTS, TRUNCATION, describe_inputs, describe_outputs
from training.release.spec import Baseline, HeldOut, ProgramSpec, ReleaseSpec, TensorSpec
from training.sequences.vocabulary import Vocabulary
from training.text_to_image.captioned import CaptionData
from training.text_to_image.data import load_data
from training.text_to_image.jury import VOCABULARY, open_jury
from training.text_to_image.measurement import Measurement
from training.text_to_image.network import Generator, load_network
from training.text_to_image.pairs import encode_captions
from training.text_to_image.program import Program
from training.text_to_image.recipe import Recipe

MAX_TEXT_BYTES = 4096
_NUM_CALIBRATED = 256
_CALIBRATION = 40
_FIRST_SEED = 1_000_000


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its program, tensors, held-out captions and margin.

    Raises:
        ValueError: the run's data is another by now.
    """
    record = read_run(run)
    network, recipe, stored = load_network(run)
    data = load_data(record["data"], Path(record["data_root"]), recipe)
    refuse_other_data(run, {"classes": data.classes, "shape": data.shape}, stored)
    vocabulary = Vocabulary((run / VOCABULARY).read_bytes(), lowercase=True)
    place(network, torch.device(device))
    held_out = _describe_quality(run, data, vocabulary, recipe, device)
    reading = "with attention to words" if recipe.reads == "words" else "of sentences"
    return ReleaseSpec(
        kind="text_to_image",
        description=f"adversarial generator {reading} for {data.name}, {'×'.join(map(str, data.shape))} images",
        programs={"main": _describe_program(network, data, vocabulary, recipe, device)},
        inputs=_describe_inputs(recipe),
        input_sets=(("text",), ("text", "seed"), ("text", "latent")),
        outputs=describe_outputs(data.shape),
        default_outputs=DEFAULT_OUTPUTS,
        parameters=(TRUNCATION,),
        handler_options={
            "labels": [],
            "latent_size": recipe.latent_size,
            "max_pieces": recipe.max_pieces,
            "vocabulary": VOCABULARY,
            "lowercase": True,
        },
        extra_files={VOCABULARY: run / VOCABULARY},
        held_out=held_out,
        margin=recipe.margin,
        examples={name: array[: recipe.num_examples] for name, array in held_out.inputs.items()},
        max_rows=recipe.max_rows,
        usage=f'"{data.test.first_captions[0]}" --n 8 --grid drawn.png',
        seed=record["seed"],
        run=run,
    )


def _describe_inputs(recipe: Recipe) -> tuple[TensorSpec, ...]:
    text = TensorSpec(
        name="text",
        datatype="BYTES",
        shape=(-1,),
        meaning=f"what to draw, in UTF-8; its first {recipe.max_pieces} subword pieces are read, the end sign included",
        max_element_bytes=MAX_TEXT_BYTES,
    )
    seed, latent = describe_inputs(recipe.latent_size, [])
    meaning = "each image is a function of its own seed and text, whatever else is in the batch; 0 if absent"
    return text, replace(seed, meaning=meaning), latent


def _describe_quality(run: Path, data: CaptionData, vocabulary: Vocabulary, recipe: Recipe, device: str) -> HeldOut:
    """R-precision of test captions, as the judge sees it."""
    part = data.test.take(torch.arange(min(recipe.num_held_out, len(data.test))))
    jury = open_jury(recipe, data, vocabulary, run, torch.device(device))
    measurement = Measurement(part, data, jury, vocabulary, recipe)
    texts = np.empty(len(part), np.object_)
    texts[:] = [caption.encode() for caption in part.first_captions]
    score = _score_by_retrieval(measurement)
    return HeldOut(
        inputs={"text": texts, "seed": np.arange(_FIRST_SEED, _FIRST_SEED + len(part), dtype=np.int64)},
        score=score,
        metric=f"R-precision among {min(recipe.num_candidates, len(part))} captions",
        dataset=f"{data.name} test",
        binary=True,
        baseline=Baseline(
            name="real images of other captions", scores=score({"image": part.images.roll(1, 0).numpy()})
        ),
    )


def _score_by_retrieval(measurement: Measurement) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return measurement.measure(torch.from_numpy(np.ascontiguousarray(outputs["image"])))["r_precision"]

    return score


def _describe_program(
    network: Generator, data: CaptionData, vocabulary: Vocabulary, recipe: Recipe, device: str
) -> ProgramSpec:
    captions = data.train.first_captions[:_NUM_CALIBRATED]
    pieces = encode_captions(captions, vocabulary, recipe.max_pieces).to(device)
    latents = torch.randn(len(captions), recipe.latent_size, generator=generator_for(0, _CALIBRATION)).to(device)

    def calibration() -> Iterable[tuple[Tensor, ...]]:
        return zip(latents.split(32), pieces.split(32), strict=True)

    dimension = torch.export.Dim("rows", min=1, max=recipe.max_rows)
    return ProgramSpec(
        module=Program(network).requires_grad_(False),
        example_inputs=(latents[:4], pieces[:4]),
        dynamic_shapes=({0: dimension}, {0: dimension}),
        calibration=calibration,
    )
