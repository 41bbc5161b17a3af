"""Decoding speed of a run's variants against each other and against CTranslate2, in one run.

    train seq2seq benchmark runs/seq2seq/full
    train seq2seq benchmark runs/seq2seq/full --neighbours 1000

Same weights, same sentences, same beam, one thread; all take turns, and every figure is the median of its turns.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from host.memory import keep_freed_memory
from training.engine.runs import read_run
from training.release.build import build_variants
from training.release.reference import open_variants
from training.seq2seq.ctranslate2_peer import save_for_ctranslate2
from training.seq2seq.data import load_data
from training.seq2seq.evaluate import Measure, choose_measure
from training.seq2seq.recipe import Recipe
from training.seq2seq.servable import VOCABULARY, describe_translator, encode_texts, load_network
from training.seq2seq.transformer import Transformer
from training.sequences.vocabulary import Vocabulary

Translator = Callable[[Sequence[str]], list[str]]


def measure_speed(
    run: Annotated[Path, typer.Argument(help="A finished run of a Transformer.")],
    rows: Annotated[int, typer.Option(min=1, help="Sentences in a batch.")] = 32,
    repeats: Annotated[int, typer.Option(min=1, help="Turns of each engine.")] = 5,
    batches: Annotated[int, typer.Option(min=1, help="Batches in a turn.")] = 2,
    neighbours: Annotated[
        int, typer.Option(min=0, help="Instead: translate so many sentences in batches and alone, and compare.")
    ] = 0,
) -> None:
    """Print sentences/s of every variant and of CTranslate2, with ratios and quality."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as a worker does
    record = read_run(run)
    network, recipe, _ = load_network(run)
    if not isinstance(network, Transformer):
        raise typer.BadParameter(f"{run} is a {recipe.network}; only a transformer is released")
    data = load_data(record["data"], Path(record["data_root"]), num_validation=recipe.num_validation)
    measure = choose_measure(recipe)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as work:
        built = build_variants(
            describe_translator(run, "cpu", data), device=torch.device("cpu"), release=1, work=Path(work) / "release"
        )
        engines: dict[str, Translator] = {}
        for name, handler in open_variants(built, torch.device("cpu")).items():
            engines[name] = translate_with(handler)
        if neighbours:
            typer.echo(compare_neighbours(engines, data.test[:neighbours], rows=rows, measure=measure))
            return
        vocabulary = Vocabulary((run / VOCABULARY).read_bytes(), lowercase=recipe.lowercase)
        for kind in ("float32", "int8"):
            engines[f"ctranslate2 {kind}"] = open_ctranslate2(network, recipe, vocabulary, Path(work) / kind, kind)
        pairs = data.test[: rows * batches]
        typer.echo(measure_engines(engines, pairs, rows=rows, repeats=repeats, measure=measure))


def translate_with(handler: Any) -> Translator:
    """Make a translator of a handler."""

    def translate(texts: Sequence[str]) -> list[str]:
        outputs = handler.infer({"text": encode_texts(tuple(texts))}, {})
        return [text.decode() for text in outputs.arrays["translation"]]

    return translate


def open_ctranslate2(
    network: Transformer, recipe: Recipe, vocabulary: Vocabulary, folder: Path, kind: str
) -> Translator:
    """Make a translator with CTranslate2 and the same search; `kind` is its compute type."""
    import ctranslate2  # of the group `peers`, which few install

    save_for_ctranslate2(network, vocabulary.names(), folder, quantization=kind)
    engine = ctranslate2.Translator(str(folder), compute_type=kind, inter_threads=1, intra_threads=1)

    def translate(texts: Sequence[str]) -> list[str]:
        sources = [vocabulary.name_pieces(row) for row in vocabulary.encode(texts)]
        results = engine.translate_batch(
            sources,
            beam_size=recipe.beam_size,
            length_penalty=recipe.length_penalty,
            max_decoding_length=2 * max(map(len, sources)) + 10,
            max_input_length=0,
            disable_unk=True,
        )
        return [vocabulary.decode_names(result.hypotheses[0]) for result in results]

    return translate


def measure_engines(
    engines: dict[str, Translator], pairs: Sequence[tuple[str, str]], *, rows: int, repeats: int, measure: Measure
) -> str:
    """Let the engines translate in turns; returns the table. The first engine is the reference of the ratios."""
    texts, references = zip(*pairs, strict=True)
    batches = _cut(texts, rows)
    written = {name: _translate_all(translate, batches) for name, translate in engines.items()}
    elapsed_s: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(repeats):
        for name, translate in engines.items():
            started = time.perf_counter()
            for batch in batches:
                translate(batch)
            elapsed_s[name].append(time.perf_counter() - started)
    speeds = {name: len(texts) / statistics.median(turns) for name, turns in elapsed_s.items()}
    reference, peer = next(iter(speeds)), next(reversed(speeds))
    lines = [
        f"{'engine':22} {'sentences/s':>12} {'spread':>14} {f'× {reference}':>9} {f'× {peer}':>19} {measure.name:>7}"
    ]
    for name, speed in speeds.items():
        spread = f"{len(texts) / max(elapsed_s[name]):.1f}–{len(texts) / min(elapsed_s[name]):.1f}"
        figure = measure.aggregate(measure.count(written[name], references))
        lines.append(
            f"{name:22} {speed:12.1f} {spread:>14} {speed / speeds[reference]:9.2f} {speed / speeds[peer]:19.2f} "
            f"{figure:7.2f}"
        )
    return "\n".join(lines)


def compare_neighbours(
    engines: dict[str, Translator], pairs: Sequence[tuple[str, str]], *, rows: int, measure: Measure
) -> str:
    """Translate sentences in batches and each alone; returns a table of how many differ, with quality."""
    texts, references = zip(*pairs, strict=True)
    lines = [f"{'engine':22} {'differ':>12} {f'{measure.name} batched':>16} {f'{measure.name} alone':>14}"]
    for name, translate in engines.items():
        both = [_translate_all(translate, _cut(texts, size)) for size in (rows, 1)]
        num_different = sum(one != other for one, other in zip(*both, strict=True))
        batched, alone = (measure.aggregate(measure.count(written, references)) for written in both)
        lines.append(f"{name:22} {f'{num_different}/{len(texts)}':>12} {batched:16.2f} {alone:14.2f}")
    return "\n".join(lines)


def _cut(texts: Sequence[str], rows: int) -> list[Sequence[str]]:
    return [texts[start : start + rows] for start in range(0, len(texts), rows)]


def _translate_all(translate: Translator, batches: Sequence[Sequence[str]]) -> list[str]:
    return [line for batch in batches for line in translate(batch)]
