"""How a finished run's network stands what it was not trained for: `train beamformer robustness RUN`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from host.progress import ProgressBar
from training.beamformer.ageing import age_channels, find_correlation
from training.beamformer.conditions import Condition, Factor, list_factors
from training.beamformer.contenders import Observation, Weights, beamform_network, digital_baselines
from training.beamformer.data import GENERATED, load_held_out, make_channel_model, observe
from training.beamformer.evaluate import EVALUATION, NETWORK
from training.beamformer.figures import Figure, compare_methods
from training.beamformer.network import load_network
from training.beamformer.pictures import draw_robustness
from training.beamformer.unrolled import BeamformingNetwork
from training.engine.runs import read_run, write_json
from training.engine.seeds import generator_for

BASELINES = ("multilinear Wiener", "per-cluster HOSVD", "singular-value shrinkage", "SVD")
_SHOWN_DATA_SNR_DB = 0.0
_AGEING_SEED = 20_130_501


def measure_condition(network: BeamformingNetwork, condition: Condition, num_rows: int) -> list[Figure]:
    """Compare the network with classical methods under a condition, all told the same noise level."""
    held_out = load_held_out(GENERATED, Path(), condition.model, num_rows)
    told_db = condition.csi_snr_db + condition.error_db
    observation = Observation(observe(held_out.channel, condition.csi_snr_db), told_db, None, condition.model)
    methods: dict[str, Callable[[], Weights]] = {NETWORK: lambda: beamform_network(network, observation)}
    baselines = digital_baselines(observation)
    methods |= {name: baselines[name] for name in BASELINES}
    channel = held_out.channel
    if condition.speed_km_h:
        assert held_out.rays is not None
        correlation = find_correlation(condition.speed_km_h)
        channel = age_channels(condition.model, held_out.rays, correlation, generator_for(_AGEING_SEED))
    return compare_methods(channel, methods, "digital", condition.csi_snr_db, paired_with=BASELINES)


def measure_robustness(run: Path, factors: Sequence[Factor], num_rows: int) -> list[dict[str, Any]]:
    """Measure every value of every factor: a record each, with figures or the reason why there are none."""
    measured: dict[Condition, dict[str, Any]] = {}
    records = []
    with ProgressBar("measuring", total=sum(len(factor.values) for factor in factors)) as bar:
        for factor in factors:
            for value in factor.values:
                condition = factor.make(value)
                if condition not in measured:
                    measured[condition] = _measure_or_say_why_not(run, condition, num_rows)
                records.append({"factor": factor.name, "value": value, "n": num_rows, **measured[condition]})
                bar.advance()
    return records


def _measure_or_say_why_not(run: Path, condition: Condition, num_rows: int) -> dict[str, Any]:
    try:
        network, _ = load_network(run, condition.model)
    except ValueError as error:
        return {"figures": [], "left_out": str(error)}
    return {"figures": [asdict(figure) for figure in measure_condition(network, condition, num_rows)]}


def report_robustness(
    run: Annotated[Path, typer.Argument(help="Finished run.")],
    rows: Annotated[int, typer.Option(help="Generated test channels of each condition.", min=2)] = 200,
) -> None:
    """Measure a run's network under conditions it was not trained with, beside classical methods.

    Noise, the told noise level, spread, clusters, paths, arrays and speed are changed one at a time. Writes into the
    run's evaluation, robustness.png and a table.
    """
    record = read_run(run)
    if record["data"] != GENERATED:
        raise ValueError(f"{run} was trained on {record['data']}: only generated channels can be varied")
    _, recipe = load_network(run)
    records = measure_robustness(run, list_factors(make_channel_model(recipe)), rows)
    evaluation = json.loads((run / EVALUATION).read_text())
    write_json(run / EVALUATION, evaluation | {"robustness": records})
    draw_robustness(records, run / "robustness.png")
    typer.echo(format_table(records))


def format_table(records: Sequence[dict[str, Any]]) -> str:
    """Write percent of the optimum at a data SNR of 0 dB as Markdown; in brackets the interval of network − method."""
    lines = [f"| condition | {' | '.join((NETWORK, *BASELINES))} |", "|---" * (len(BASELINES) + 2) + "|"]
    for record in records:
        shown = {
            figure["method"]: figure for figure in record["figures"] if figure["data_snr_db"] == _SHOWN_DATA_SNR_DB
        }
        cells = [record["left_out"]] if not shown else [_format_cell(shown[name]) for name in (NETWORK, *BASELINES)]
        lines.append(f"| {record['factor']} {record['value']:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _format_cell(figure: dict[str, Any]) -> str:
    paired = figure["network_minus_method"]
    return f"{figure['percent']:.2f}" + (f" ({paired[1]:+.2f} … {paired[2]:+.2f})" if paired else "")
