"""`results.json`: everything a campaign measured, from which the report and the summary are made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from loadtests.judge.verdict import Verdict
from loadtests.measure.host import Host
from loadtests.measure.recording import Part, Recording
from loadtests.measure.time_split import TimeSplit
from loadtests.subject import order_manifests
from model_store.manifest import Manifest, ReleaseIndex

Scenario = Literal["Server", "Offline", "SingleStream", "MultiStream"]
Kind = Literal["closed loop"] | Scenario


class Run(Part):
    """One run against one variant. `callers` belongs to closed loops, `rate` (requests a second) to Server."""

    version: str
    kind: Kind
    protocol: Literal["grpc", "rest"]
    round: int
    callers: int | None = None
    rate: float | None = None
    recording: Recording
    verdict: Verdict
    holds_bound: bool | None = None
    split: TimeSplit | None = None


class Recommendation(Part):
    """Which variant to deploy, and why, in plain sentences; the caveats belong beside it."""

    version: str
    headline: str
    reasons: tuple[str, ...]
    caveats: tuple[str, ...] = ()


class Agreement(Part):
    """How REST and gRPC answered the same example rows."""

    rows: int
    largest_difference: float


class ModelResults(Part):
    index: ReleaseIndex
    manifests: tuple[Manifest, ...]
    agreement: Agreement
    runs: tuple[Run, ...]
    recommendation: Recommendation

    @property
    def name(self) -> str:
        return f"{self.index.model}, release {self.index.release}"

    @property
    def served(self) -> list[Manifest]:
        """Manifests of the variants that may be served: the reference first, then from slow to fast."""
        return order_manifests(manifest for manifest in self.manifests if manifest.variant in self.index.archives)

    @property
    def rejected(self) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest.variant not in self.index.archives]

    def select(self, version: str, kind: Kind, protocol: str = "grpc") -> list[Run]:
        """The runs of one kind against one variant, in the order they were made."""
        return [run for run in self.runs if (run.version, run.kind, run.protocol) == (version, kind, protocol)]


class Results(Part):
    format: Literal[1] = 1
    name: str
    created: str
    command: str
    preset: str
    bound_ms: float
    host: Host
    scraped_by: str
    models: tuple[ModelResults, ...]


def write_results(results: Results, folder: Path) -> Path:
    """Write `results.json` into a folder."""
    path = folder / "results.json"
    path.write_text(results.model_dump_json(indent=1))
    return path


def read_results(folder: Path) -> Results:
    """Read what `write_results` wrote.

    Raises:
        ValueError: not a results file of this format (pydantic names the field).
    """
    return Results.model_validate_json((folder / "results.json").read_bytes())


def count_valid(runs: Iterable[Run]) -> tuple[int, int]:
    """Count the valid runs, and all."""
    verdicts = [run.verdict.valid for run in runs]
    return sum(verdicts), len(verdicts)
