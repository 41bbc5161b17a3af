"""Learning to translate from another translator: training sentences as it translates them, not as the corpus does.

One network's translations are more alike than those of many people, and so easier to learn for a small one.
Source: Kim and Rush 2016, https://arxiv.org/abs/1606.07947, section 3.2 (sequence-level knowledge distillation).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from host.progress import ProgressBar
from training.engine.runs import write_json
from training.release.reference import open_reference
from training.seq2seq.data import ParallelData
from training.seq2seq.servable import describe_translator, encode_texts

TAUGHT = "taught.json"


def translate(infer: Callable[..., Any], sources: list[str], max_rows: int, bar: ProgressBar) -> list[str]:
    """Translate sentences through `infer`, a translator's handler, in batches of `max_rows`."""
    translations: list[str] = []
    for start in range(0, len(sources), max_rows):
        rows = tuple(sources[start : start + max_rows])
        outputs = infer({"text": encode_texts(rows)}, {})
        translations += [translation.decode() for translation in outputs.arrays["translation"]]
        bar.advance(len(rows))
    return translations


def learn_from(teacher: Path, data: ParallelData, device: torch.device) -> ParallelData:
    """Replace the translations of the training part by a finished run's; nothing that measures is replaced.

    Raises:
        FileNotFoundError: the folder is no run, or the run did not finish.
    """
    spec = describe_translator(teacher, str(device), data)
    sources = [source for source, _ in data.train]
    order = sorted(range(len(sources)), key=lambda row: len(sources[row]))  # a batch takes as long as its longest
    with tempfile.TemporaryDirectory(prefix="teacher-") as work:
        handler = open_reference(spec, device, Path(work))
        with ProgressBar("the teacher translates", total=len(sources)) as bar:
            translations = translate(handler.infer, [sources[row] for row in order], spec.max_rows, bar)
    return replace(data, train=sorted(zip((sources[row] for row in order), translations, strict=True)))


def keep_lesson(data: ParallelData, run: Path) -> None:
    """Write what the teacher has said into the run's folder, so that a resumed run need not ask again."""
    write_json(run / TAUGHT, data.train)


def read_lesson(data: ParallelData, run: Path) -> ParallelData:
    """Read what the teacher had said when the run was begun."""
    return replace(data, train=[(source, target) for source, target in json.loads((run / TAUGHT).read_text())])
