"""Whether two finished runs really differ in BLEU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.engine.difference import judge_difference
from training.engine.runs import find_result, read_run
from training.release.statistics import paired_bootstrap
from training.seq2seq.evaluate import TRANSLATIONS, Bleu


def compare_runs(first: Path, second: Path) -> str:
    """Compare two finished runs' translations of the same test sentences; returns the findings as text.

    Raises:
        FileNotFoundError: a run has no translations because it did not finish.
        ValueError: the runs translated different sentences.
    """
    texts = [read_translations(run) for run in (first, second)]
    (name, one), (_, other) = (next(iter(text.items())) for text in texts)
    if one["references"] != other["references"]:
        raise ValueError(f"{first} and {second} were evaluated on different sentences; compare runs on the same data")
    bleu = Bleu(all(read_run(run)["recipe"]["lowercase"] for run in (first, second)))
    counts = [bleu.count(text["translations"], one["references"]) for text in (one, other)]
    figures = [bleu.aggregate(count) for count in counts]
    low, high, p_value = paired_bootstrap(counts[1], counts[0], bleu.aggregate)
    verdict = judge_difference(low, high)
    return "\n".join(
        [
            f"{first}: BLEU {figures[0]:.2f} on {len(counts[0])} sentences of {name}",
            f"{second}: BLEU {figures[1]:.2f}",
            f"second − first {figures[1] - figures[0]:+.2f} (95 % interval {low:+.2f} … {high:+.2f}), paired bootstrap "
            f"p = {p_value:.3g}: {verdict}",
            bleu.signature,
        ]
    )


def read_translations(run: Path) -> dict[str, dict[str, Any]]:
    """Read a finished run's translations and their references by test set.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    found: dict[str, dict[str, Any]] = json.loads(find_result(run, TRANSLATIONS).read_text())
    return found
