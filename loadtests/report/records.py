"""What was measured in the forms that other tools read: a line of JSON a run, and an HdrHistogram log of latencies."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loadtests.results import Results, Run

HISTOGRAM_LOG_HEAD = (
    "#[Histogram log format version 1.3]\n"
    "#[StartTime: {start:.3f} (seconds since epoch)]\n"
    '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
)


def make_json_lines(results: Results) -> str:
    """Make `runs.jsonl`: each run with the model it is of, and its histograms."""
    return "".join(
        f'{{"model":"{model.index.model}",{run.model_dump_json()[1:]}\n'
        for model in results.models
        for run in model.runs
    )


def make_histogram_log(results: Results) -> str:
    """Make `latencies.hlog`: of each run the latencies that count, tagged by what it was.

    Values are microseconds, maxima milliseconds, start times seconds after the first run's. Source: HdrHistogram's log
    format 1.3, as its own tools draw it.
    """
    runs = [(model.index.model, run) for model in results.models for run in model.runs]
    runs.sort(key=lambda item: item[1].recording.started)
    first = runs[0][1].recording.started if runs else 0.0
    return HISTOGRAM_LOG_HEAD.format(start=first) + "".join(_make_lines(runs, first))


def _make_lines(runs: list[tuple[str, Run]], first: float) -> Iterator[str]:
    for model, run in runs:
        recording = run.recording
        what = run.callers if run.callers is not None else f"{run.rate:.0f}" if run.rate is not None else ""
        # Commas and spaces end a tag.
        tag = re.sub(r"[,\s]+", "-", f"{model}/{run.version}/{run.protocol}/{run.kind}/{what}/{run.round}")
        latencies = recording.latencies()
        yield (
            f"Tag={tag},{recording.started - first:.3f},{recording.duration_s:.3f},{latencies.max_ms:.3f},"
            f"{recording.corrected or recording.uncorrected}\n"
        )
