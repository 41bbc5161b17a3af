"""`k8s simulate`: the rendered autoscaler of a model against traces of load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml

from k8s.costs import CoreHour, GibHour, GpuHour, Prices
from k8s.nodes import STARTUP_NOTE
from k8s.settings import ROOM
from k8s.simulation.picture import draw
from k8s.simulation.run import Pod, Result, simulate
from k8s.simulation.traces import TRACES, read_trace

MAX_WAITING_ROWS: Final = 8192  # the gateway's own default
START_S: Final = 30.0
PLACED_S: Final = 10.0  # scheduled, and the release copied and verified; the image is there


def simulate_model(
    model: Annotated[str, typer.Argument(help="A model rendered into the folder.")] = "classifier",
    rendered: Annotated[Path, typer.Option(help="Folder that `k8s render` wrote.")] = ROOM / "models",
    load: Annotated[float, typer.Option(help="Base rows per second; 0 = what its planned pods hold.")] = 0,
    start_s: Annotated[
        float,
        typer.Option(
            help="From the wish for a pod to its first answer, in seconds; 0 = as certified, and 10 s before; else 30."
        ),
    ] = 0,
    slo_ms: Annotated[float, typer.Option(help="Latency to hold at the 99th percentile.")] = 250,
    core_hour: CoreHour = 0,
    gib_hour: GibHour = 0,
    gpu_hour: GpuHour = 0,
    most: Annotated[int, typer.Option(help="Most pods; 0 = as rendered.")] = 0,
    recorded: Annotated[Path | None, typer.Option(help="CSV `second,rows_per_s` instead.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for one SVG for each trace.")] = None,
) -> None:
    """Show how a model's pods follow steps, a day, a spike and a flash crowd: pods, p99, refusals, cost."""
    scaled_object, deployment = read_rendered(rendered, model)
    if most:
        scaled_object["spec"]["maxReplicaCount"] = most
    pod = read_pod(deployment, start_s or read_start_s(deployment))
    replicas = int(deployment["spec"]["replicas"])
    prices = Prices(core=core_hour, gib=gib_hour, gpu=gpu_hour)
    pod_hour = read_pod_hour(deployment, prices) if prices.are_given else None
    base = load or replicas * float(scaled_object["spec"]["triggers"][1]["metadata"]["threshold"])
    traces = (
        {name: make(base) for name, make in TRACES.items()}
        if recorded is None
        else {recorded.stem: read_trace(recorded)}
    )
    typer.echo(
        f"{model}: pods of {pod.rows_per_s:,.0f} rows/s, ready {pod.start_s:g} s after the wish; "
        f"base {base:,.0f} rows/s"
    )
    for name, trace in traces.items():
        result = simulate(trace, scaled_object, pod, replicas=replicas)
        typer.echo(describe(name, trace, result, slo_ms / 1000, pod_hour))
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{name}.svg").write_text(draw(f"{model}, {name}", trace, result, slo_ms / 1000, pod_hour))


def read_rendered(folder: Path, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a model's ScaledObject and Deployment."""
    paths = (folder / "keda" / f"{model}.yaml", folder / "nodes" / model / "deployment.yaml")
    if not all(path.is_file() for path in paths):
        typer.echo(f"k8s: {folder} has no model {model!r}; `k8s render --out {folder}` writes it", err=True)
        raise typer.Exit(2)
    scaled_object, deployment = (yaml.safe_load(path.read_text()) for path in paths)
    return scaled_object, deployment


def read_start_s(deployment: dict[str, Any]) -> float:
    """Read how long a pod's start takes, from its certificate where there was one."""
    measured = deployment["spec"]["template"]["metadata"]["annotations"].get(STARTUP_NOTE)
    return START_S if measured is None else PLACED_S + float(measured)


def read_pod(deployment: dict[str, Any], start_s: float) -> Pod:
    """Read what a pod can do from its Deployment."""
    template = deployment["spec"]["template"]
    notes = template["metadata"]["annotations"]
    environment = {item["name"]: item["value"] for item in template["spec"]["containers"][0]["env"]}
    return Pod(
        rows_per_s=float(notes["millrace.dev/rows-per-second"]),
        slots=int(environment["MILLRACE_WORKERS"]),
        start_s=start_s,
        max_waiting_rows=MAX_WAITING_ROWS,
        max_rows=int(notes["millrace.dev/max-rows"]),
    )


def read_pod_hour(deployment: dict[str, Any], prices: Prices) -> float:
    """Price an hour of a rendered pod."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return prices.price_pod(container["resources"]["requests"])


def describe(name: str, trace: Sequence[float], result: Result, slo_s: float, pod_hour: float | None = None) -> str:
    """Say in one line how a trace went; what it cost, where a pod's hour has a price."""
    cost = "" if pod_hour is None else f" for {pod_hour * result.pod_hours:,.2f}"
    late = sum(value > slo_s for value in result.p99_s) / len(result.p99_s)
    return (
        f"  {name:<12} pods {min(result.replicas)} to {max(result.replicas)}, {result.num_direction_changes} turns, "
        f"{result.pod_hours:.1f} pod hours{cost} in {len(trace) / 3600:.1f} h; p99 above {1000 * slo_s:g} ms "
        f"{late:.1%} of the time; {result.refused_rows / result.offered_rows:.2%} of rows refused"
    )
