"""A finished translator run, as `release` wants it described."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from training.engine.overrides import from_record
from training.engine.runs import find_finished, read_network, read_run
from training.release.spec import HeldOut, ParameterSpec, ProgramSpec, ReleaseSpec, TensorSpec
from training.seq2seq.data import ParallelData, load_data
from training.seq2seq.evaluate import choose_baseline, choose_measure, make_score
from training.seq2seq.network import TranslationNetwork, build_network
from training.seq2seq.program import DecoderProgram, EncoderProgram
from training.seq2seq.recipe import Recipe

VOCABULARY = "vocabulary.model"
MAX_TEXT_BYTES = 16_384
_NUM_EXAMPLES = 32


def load_network(run: Path) -> tuple[TranslationNetwork, Recipe, int]:
    """Rebuild a run's network; also return its recipe and the size of its vocabulary.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe = from_record(Recipe, read_run(run)["recipe"])
    stored = read_network(run)
    network = build_network(recipe, stored["num_pieces"])
    network.load_state_dict(stored["network"])
    return network.requires_grad_(False).eval(), recipe, stored["num_pieces"]


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a finished run to the release steps.

    Raises:
        ValueError: the run's network is recurrent.
    """
    network = read_run(run)["recipe"]["network"]
    if network != "transformer":
        raise ValueError(
            f"{run} is a {network}: recurrent networks are for comparison only, because a compiler unrolls their "
            "encoder to one fixed length; release a run with network=transformer"
        )
    return describe_translator(run, device)


def describe_translator(run: Path, device: str, data: ParallelData | None = None) -> ReleaseSpec:
    """Describe a run of any network: programs, tensors, held-out pairs and margin; `data` is loaded if not given."""
    record = read_run(run)
    network, recipe, num_pieces = load_network(run)
    if data is None:
        data = load_data(record["data"], Path(record["data_root"]), num_validation=recipe.num_validation)
    sources, references = zip(*data.test, strict=True)
    measure = choose_measure(recipe)
    return ReleaseSpec(
        kind="seq2seq",
        description=f"{recipe.network} that writes a {recipe.task}, trained on {data.name.split(' test_')[0]}",
        programs=describe_programs(network.to(device), recipe, num_pieces, device),
        inputs=(
            TensorSpec(
                name="text",
                datatype="BYTES",
                shape=(-1,),
                meaning=f"a text in UTF-8, of at most {recipe.max_pieces - 1} subword pieces",
                max_element_bytes=MAX_TEXT_BYTES,
                size_sets_time=True,
            ),
        ),
        input_sets=(("text",),),
        outputs=describe_outputs(recipe),
        default_outputs=("translation", "score"),
        parameters=describe_parameters(recipe),
        handler_options={
            "vocabulary": VOCABULARY,
            "lowercase": recipe.lowercase,
            "max_pieces": recipe.max_pieces,
            "beam_size": recipe.beam_size,
            "max_beam_size": recipe.max_beam_size,
            "length_penalty": recipe.length_penalty,
        },
        extra_files={VOCABULARY: run / VOCABULARY},
        held_out=HeldOut(
            inputs={"text": encode_texts(sources)},
            score=make_score(references, measure),
            metric=f"{measure.name} {measure.signature}",
            dataset=f"{data.name} test" if " test" not in data.name else data.name,
            aggregate=measure.aggregate,
            baseline=choose_baseline(sources, references, recipe),
        ),
        margin=recipe.margin,
        examples={"text": encode_texts(sources[:_NUM_EXAMPLES])},
        max_rows=recipe.max_rows,
        streams=True,
        seed=record["seed"],
        run=run,
        parent=find_finished(recipe.teacher),
    )


def describe_programs(
    network: TranslationNetwork, recipe: Recipe, num_pieces: int, device: str
) -> Mapping[str, ProgramSpec]:
    """The encoder and the decoder's step, with rows, beams, places and source pieces free."""
    encoder = EncoderProgram(network)
    decoder = DecoderProgram(network, num_pieces, recipe.max_beam_size + 1).to(device)
    rows = torch.export.Dim("rows", min=1, max=recipe.max_rows)
    beams = torch.export.Dim("beams", min=1, max=recipe.max_beam_size)
    pieces = torch.export.Dim("pieces", min=1, max=recipe.max_pieces)
    places = torch.export.Dim("places", min=1, max=2 * recipe.max_pieces)
    source = torch.full((3, 7), 4, device=device)
    with torch.no_grad():
        memory, source_bias, first = encoder(source)
    num_places, num_beams = 5, 4
    cache = first[None, :, :, None].repeat(num_places, 1, 1, num_beams, 1)
    tokens = torch.full((3, num_beams), 4, device=device)
    ancestors = torch.zeros((num_places, 3, num_beams), dtype=torch.int64, device=device)
    starts = torch.tensor([0, 1, 3], device=device)
    memory_shape = {1: rows, memory.dim() - 2: pieces}
    return {
        "encoder": ProgramSpec(
            module=encoder,
            example_inputs=(source,),
            dynamic_shapes=({0: rows, 1: pieces},),
            quantization="dynamic",
        ),
        "decoder": ProgramSpec(
            module=decoder,
            example_inputs=(tokens, ancestors, starts, cache, memory, source_bias),
            dynamic_shapes=(
                {0: rows, 1: beams},
                {0: places, 1: rows, 2: beams},
                {0: rows},
                {0: places, 2: rows, 3: beams},
                memory_shape,
                {0: rows, 1: pieces},
            ),
            quantization="dynamic",
        ),
    }


def encode_texts(texts: tuple[str, ...]) -> np.ndarray:
    """Put texts into the BYTES array that a request brings."""
    array = np.empty(len(texts), np.object_)
    array[:] = [text.encode() for text in texts]
    return array


def describe_outputs(recipe: Recipe) -> tuple[TensorSpec, ...]:
    """What an answer holds; the first has one name whatever the task, because clients read it."""
    return (
        TensorSpec(
            name="translation",
            datatype="BYTES",
            shape=(-1,),
            meaning=f"{recipe.task} in UTF-8; with num_hypotheses the n best ones",
        ),
        TensorSpec(
            name="score",
            datatype="FP32",
            shape=(-1,),
            meaning=f"log probability of each {recipe.task} divided by its length to the power of length_penalty",
            maximum=0,
            singular="score",
        ),
        TensorSpec(
            name="alignment",
            datatype="BYTES",
            shape=(-1,),
            meaning="JSON with source and target pieces and the weights of the source pieces for each target piece; on "
            "request, by its name or by the parameter alignments",
        ),
    )


def describe_parameters(recipe: Recipe) -> tuple[ParameterSpec, ...]:
    """What a request may say besides its texts."""
    longest = 2 * recipe.max_pieces - 1
    most = recipe.max_beam_size + 1

    def number(name: str, meaning: str, minimum: int, maximum: int) -> ParameterSpec:
        return ParameterSpec(name=name, kind="int64", meaning=meaning, minimum=minimum, maximum=maximum)

    return (
        number("beam_size", f"beams; 1 is greedy, {recipe.beam_size} if absent", 1, recipe.max_beam_size),
        number(
            "num_hypotheses", f"how often to give a {recipe.task} of each text, best first", 1, recipe.max_beam_size
        ),
        number("max_length", "most subword pieces to write; 2 × source + 10 if absent", 1, longest),
        number("min_length", "fewest subword pieces to write; 0 if absent", 0, longest),
        ParameterSpec(
            name="length_penalty",
            kind="double",
            meaning=f"power of the length that scores are divided by; {recipe.length_penalty:g} if absent",
            minimum=0,
            maximum=4,
        ),
        ParameterSpec(name="alignments", kind="bool", meaning="add the output alignment"),
        ParameterSpec(
            name="temperature",
            kind="double",
            meaning="sample pieces, by log probabilities divided by this, with one beam; 0 as if absent: the likeliest",
            minimum=0,
            maximum=10,
        ),
        number("top_k", f"how many of the likeliest pieces are sampled from; {most} if absent", 1, most),
        number("seed", "the same seed and text sample the same; chance if absent", 0, 2**63 - 1),
    )
