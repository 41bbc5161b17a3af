"""Parallel corpora for the translator: the embedded phrases, any two text files, or Multi30k."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from training.seq2seq.parallel_text import Pair, read_pairs
from training.seq2seq.phrases import compose_phrases

SPLIT_SEED = 20_240_517
NUM_PHRASES = 24_000
NUM_PHRASES_TEST = 1000
_LANGUAGES = ("en", "fr")
DATA_SETS = {
    "phrases": "English–French phrases composed from CLDR's tables and from numbers in words, embedded",
    "text:SRC,TGT": "two aligned files of UTF-8 text below --data-root; validation and test parts are cut off",
    "multi30k:DIR": "Multi30k's usual files (train.en, train.fr, val.en, …) in a folder below --data-root",
}


@dataclass(frozen=True, kw_only=True)
class ParallelData:
    """A corpus in parts; no training step and no choice ever looks at `test`.

    `further_tests` are other test sets by name, measured once at the end.
    """

    name: str
    train: list[Pair]
    validation: list[Pair]
    test: list[Pair]
    further_tests: dict[str, list[Pair]] = field(default_factory=dict)


def load_data(source: str, root: Path, *, num_validation: int) -> ParallelData:
    """Load `phrases` (embedded), `text:SRC,TGT` (two aligned files) or `multi30k:DIR`.

    Paths are relative to `root`. `phrases` and `text` cut validation and test parts off by a fixed seed, the same in
    every run, of small texts a tenth each; pairs whose source sentence occurs in a held-out part never train.

    Raises:
        ValueError: unknown source, or text that is not aligned, empty or not UTF-8 (names file and line).
        FileNotFoundError: a file is missing.
    """
    kind, _, place = source.partition(":")
    if kind not in _LOADERS or (kind == "phrases") == bool(place):
        raise ValueError(f"unknown data {source!r}; use phrases, text:SRC,TGT or multi30k:DIR")
    data = _LOADERS[kind](place, root, num_validation)
    if not data.train or not data.validation or not data.test:
        raise ValueError(
            f"{source}: {len(data.train)} training, {len(data.validation)} validation and {len(data.test)} test pairs; "
            "each part needs some: give more text or lower num_validation"
        )
    return data


def _load_phrases(place: str, root: Path, num_validation: int) -> ParallelData:
    names, composed = compose_phrases(NUM_PHRASES + NUM_PHRASES_TEST + num_validation, SPLIT_SEED)
    test, validation = composed[:NUM_PHRASES_TEST], composed[NUM_PHRASES_TEST:][:num_validation]
    train = names + composed[NUM_PHRASES_TEST + num_validation :]
    return ParallelData(name="CLDR phrases en-fr", train=train, validation=validation, test=test)


def _load_text(place: str, root: Path, num_validation: int) -> ParallelData:
    paths = [root / part for part in place.split(",")]
    if len(paths) != 2:
        raise ValueError(f"text: takes two files, text:SRC,TGT; got {place!r}")
    pairs = list(dict.fromkeys(read_pairs(*paths)))
    random.Random(SPLIT_SEED).shuffle(pairs)
    num_validation = max(1, min(num_validation, len(pairs) // 10))
    held_out, rest = pairs[: 2 * num_validation], pairs[2 * num_validation :]
    return ParallelData(
        name=f"{paths[0].name}, {paths[1].name}",
        train=_without_sources_of(held_out, rest),
        validation=held_out[:num_validation],
        test=held_out[num_validation:],
    )


def _load_multi30k(place: str, root: Path, num_validation: int) -> ParallelData:
    """Image captions and their translations. Source: Elliott et al. 2016, Multi30K; Elliott et al. 2017 for French."""
    folder = root / place
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder; multi30k:DIR takes the one that holds train.en and train.fr")

    def read(part: str) -> list[Pair]:
        source, target = (folder / f"{part}.{language}" for language in _LANGUAGES)
        return read_pairs(source, target)

    tests = {path.stem: read(path.stem) for path in sorted(folder.glob(f"test_*.{_LANGUAGES[0]}"))}
    if "test_2016_flickr" not in tests:
        raise FileNotFoundError(f"{folder} has no test_2016_flickr.{_LANGUAGES[0]}: it is not Multi30k's usual layout")
    return ParallelData(
        name="Multi30k en-fr test_2016_flickr",
        train=read("train"),
        validation=read("val")[:num_validation],
        test=tests.pop("test_2016_flickr"),
        further_tests=tests,
    )


def _without_sources_of(held_out: list[Pair], pairs: list[Pair]) -> list[Pair]:
    seen = {source for source, _ in held_out}
    return [pair for pair in pairs if pair[0] not in seen]


_LOADERS: dict[str, Callable[[str, Path, int], ParallelData]] = {
    "phrases": _load_phrases,
    "text": _load_text,
    "multi30k": _load_multi30k,
}
