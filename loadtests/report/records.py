"""What was measured in the forms that other tools read: a line of JSON a run, and an HdrHistogram log of latencies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from loadtests.measure.recording import Recording
from loadtests.results import Results, Run
from loadtests.scenario_run import ScenarioResults

HISTOGRAM_LOG_HEAD = (
    "#[Histogram log format version 1.3]\n"
    "#[StartTime: {start:.3f} (seconds since epoch)]\n"
    '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
)


class Record(NamedTuple):
    """One run: words that tell it from the others, all that is known of it as JSON, and what was measured."""

    words: tuple[str, ...]
    json: str
    recording: Recording


def list_runs(results: Results) -> list[Record]:
    """List a campaign's runs, each with the model it is of."""
    return [
        Record(
            (model.index.model, run.version, run.protocol, run.kind, _name_load(run), str(run.round)),
            f'{{"model":"{model.index.model}",{run.model_dump_json()[1:]}',
            run.recording,
        )
        for model in results.models
        for run in model.runs
    ]


def list_targets(results: ScenarioResults) -> list[Record]:
    """List a scenario's targets, by the same names of fields."""
    return [
        Record(
            (outcome.model, outcome.version, outcome.protocol, outcome.kind, results.scenario.name),
            outcome.model_dump_json(),
            outcome.recording,
        )
        for outcome in results.outcomes
    ]


def write_records(records: Sequence[Record], folder: Path) -> None:
    """Write `runs.jsonl` and `latencies.hlog` into a folder."""
    (folder / "runs.jsonl").write_text("".join(f"{record.json}\n" for record in records), encoding="utf-8")
    (folder / "latencies.hlog").write_text(make_histogram_log(records), encoding="utf-8")


def make_histogram_log(records: Sequence[Record]) -> str:
    """Make the log: of each run the latencies that count, tagged by what it was.

    Values are microseconds, maxima milliseconds, start times seconds after the first run's. Source: HdrHistogram's log
    format 1.3, as its own tools draw it.
    """
    ordered = sorted(records, key=lambda record: record.recording.started)
    first = ordered[0].recording.started if ordered else 0.0
    return HISTOGRAM_LOG_HEAD.format(start=first) + "".join(_make_line(record, first) for record in ordered)


def _make_line(record: Record, first: float) -> str:
    recording = record.recording
    tag = re.sub(r"[,\s]+", "-", "/".join(record.words))  # commas and spaces end a tag
    return (
        f"Tag={tag},{recording.started - first:.3f},{recording.duration_s:.3f},{recording.latencies().max_ms:.3f},"
        f"{recording.corrected or recording.uncorrected}\n"
    )


def _name_load(run: Run) -> str:
    if run.callers is not None:
        return str(run.callers)
    return "" if run.rate is None else f"{run.rate:.0f}"
