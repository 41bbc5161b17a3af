"""What a fleet costs: prices of what its pods ask for, and how many of them a load takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import typer

from k8s.nodes import size_resources
from k8s.planning import ModelPlan
from k8s.policy.objects import cores, memory_mib

CoreHour = Annotated[float, typer.Option(help="Price of a core for an hour, in any currency.")]
GibHour = Annotated[float, typer.Option(help="Price of a GiB of memory for an hour.")]
GpuHour = Annotated[float, typer.Option(help="Price of a GPU, or the slice of one, for an hour.")]


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices of an hour, in whatever currency."""

    core: float = 0.0
    gib: float = 0.0
    gpu: float = 0.0

    def __post_init__(self) -> None:
        if min(self.core, self.gib, self.gpu) < 0:
            raise ValueError(f"prices are at least 0; got {self}")

    @property
    def are_given(self) -> bool:
        return bool(self.core or self.gib or self.gpu)

    def price_pod(self, requests: Mapping[str, str]) -> float:
        """Price an hour of a pod by what it asks for."""
        gpus = sum(int(number) for name, number in requests.items() if name.startswith("nvidia.com/"))
        return self.core * cores(requests["cpu"]) + self.gib * memory_mib(requests["memory"]) / 1024 + self.gpu * gpus


@dataclass(frozen=True, kw_only=True)
class Size:
    """A fleet for a load, in all its clusters."""

    rows_per_s: float
    pods: int
    cores: float
    memory_gib: float
    gpus: int
    hour_cost: float

    @property
    def million_rows_cost(self) -> float:
        """Price of a million rows at this load."""
        return self.hour_cost / (3600 * self.rows_per_s) * 1e6


def size_fleet(plan: ModelPlan, rows_per_s: float, prices: Prices, *, clusters: int = 1) -> Size:
    """Size a model's fleet for a load; of several clusters, any one may be lost and the others hold it."""
    sizing = plan.sizing
    share = rows_per_s / max(1, clusters - 1)
    pods = clusters * max(sizing.min_replicas, math.ceil(share / sizing.target_rows_per_s))
    requests = size_resources(sizing.cpu_millicores, sizing.memory_mib, plan.gpu)["requests"]
    return Size(
        rows_per_s=rows_per_s,
        pods=pods,
        cores=pods * sizing.cpu_millicores / 1000,
        memory_gib=pods * sizing.memory_mib / 1024,
        gpus=pods if plan.gpu else 0,
        hour_cost=pods * prices.price_pod(requests),
    )


def tabulate(sizes: list[Size], prices: Prices) -> str:
    """Write sizes as a table of Markdown; costs where prices were given."""
    head = ["rows/s", "pods", "cores", "memory, GiB", "GPUs"]
    head += ["an hour", "a million rows"] if prices.are_given else []
    lines = [head, ["---"] * len(head)]
    for size in sizes:
        counts = (size.rows_per_s, size.pods, size.cores, size.memory_gib, size.gpus)
        costs = [f"{size.hour_cost:,.2f}", f"{size.million_rows_cost:.4f}"] if prices.are_given else []
        lines.append([f"{count:,.0f}" for count in counts] + costs)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
