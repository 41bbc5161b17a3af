"""Pairs of texts: what is read, and what is to be written of it; embedded, or from files in their usual layouts."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from training.engine.data_path import find_path
from training.seq2seq.parallel_text import Pair, read_pairs
from training.seq2seq.phrases import compose_phrases
from training.seq2seq.reports import compose_reports
from training.seq2seq.summarized_text import SUFFIXES, read_summaries

SPLIT_SEED = 20_240_517
NUM_PHRASES = 24_000
NUM_PHRASES_TEST = 1000
NUM_REPORTS, NUM_REPORTS_TEST = 16_000, 1000
_LANGUAGES = ("en", "fr")
DATA_SETS = {
    "phrases": "English–French phrases composed from CLDR's tables and from numbers in words, embedded",
    "text:SRC,TGT": "two aligned files of UTF-8 text below --data-root; validation and test parts are cut off",
    "multi30k:DIR": "Multi30k's usual files (train.en, train.fr, val.en, …) in a folder below --data-root",
    "reports": "reports of several sentences and their summaries, composed by a grammar; held out by pairs of facts",
    "summaries:PATH": "documents and summaries as JSON lines or .tsv with named columns: train, validation (val) and "
    "test in a folder (XSum, CNN/DailyMail), or one file; here or below --data-root",
}


@dataclass(frozen=True, kw_only=True)
class ParallelData:
    """Pairs in parts; no training step and no choice ever looks at `test`.

    `further_tests` are other test sets by name, measured once at the end.
    """

    name: str
    train: list[Pair]
    validation: list[Pair]
    test: list[Pair]
    further_tests: dict[str, list[Pair]] = field(default_factory=dict)


def load_data(source: str, root: Path, *, num_validation: int) -> ParallelData:
    """Load one of `DATA_SETS`: `phrases` and `reports` are embedded, the others are files.

    Paths are relative to `root`. `phrases`, `text` and a single file of `summaries` cut validation and test parts off
    by a fixed seed, the same in every run, of small texts a tenth each. Pairs whose source occurs in a held-out part
    never train; of `reports`, none whose facts are joined there.

    Raises:
        ValueError: unknown source, or text that is not aligned, empty or not UTF-8 (names file and line).
        FileNotFoundError: a file is missing.
    """
    kind, _, place = source.partition(":")
    if kind not in _LOADERS or (kind in DATA_SETS) == bool(place):
        raise ValueError(f"unknown data {source!r}; use one of {', '.join(DATA_SETS)}")
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
    return _divide(f"{paths[0].name}, {paths[1].name}", read_pairs(*paths), num_validation)


def _divide(name: str, pairs: list[Pair], num_validation: int) -> ParallelData:
    pairs = list(dict.fromkeys(pairs))
    random.Random(SPLIT_SEED).shuffle(pairs)
    num_validation = max(1, min(num_validation, len(pairs) // 10))
    held_out, rest = pairs[: 2 * num_validation], pairs[2 * num_validation :]
    return ParallelData(
        name=name,
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


def _compose_reports(place: str, root: Path, num_validation: int) -> ParallelData:
    parts = compose_reports({"train": NUM_REPORTS, "validation": num_validation, "test": NUM_REPORTS_TEST}, SPLIT_SEED)
    return ParallelData(
        name="composed reports", train=parts["train"], validation=parts["validation"], test=parts["test"]
    )


def _load_summaries(place: str, root: Path, num_validation: int) -> ParallelData:
    """Documents and summaries. Source: Narayan et al. 2018, XSum; Hermann et al. 2015 and See et al. 2017."""
    path = find_path(place, root)
    if path.is_file():
        return _divide(path.name, read_summaries(path), num_validation)

    def read(*stems: str) -> list[Pair]:
        for file in (path / f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES):
            if file.is_file():
                return read_summaries(file)
        raise FileNotFoundError(f"{path} has no file {stems[0]} that ends with {' or '.join(SUFFIXES)}")

    validation, test = read("validation", "val")[:num_validation], read("test")
    train = _without_sources_of([*validation, *test], read("train"))
    return ParallelData(name=path.name, train=train, validation=validation, test=test)


def _without_sources_of(held_out: list[Pair], pairs: list[Pair]) -> list[Pair]:
    seen = {source for source, _ in held_out}
    return [pair for pair in pairs if pair[0] not in seen]


_LOADERS: dict[str, Callable[[str, Path, int], ParallelData]] = {
    "phrases": _load_phrases,
    "text": _load_text,
    "multi30k": _load_multi30k,
    "reports": _compose_reports,
    "summaries": _load_summaries,
}
