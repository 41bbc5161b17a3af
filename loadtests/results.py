"""`results.json`: everything a campaign measured, from which the report and the summary are made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from loadtests.generate.plan import Protocol
from loadtests.judge.load import Load
from loadtests.judge.rate_search import RateSearch
from loadtests.judge.verdict import Verdict
from loadtests.measure.answer import Answer
from loadtests.measure.host import Host
from loadtests.measure.neighbours import Neighbours
from loadtests.measure.recording import Part, Recording
from loadtests.measure.time_split import TimeSplit
from loadtests.subject import order_manifests
from model_store.manifest import Manifest, ReleaseIndex

Scenario = Literal["Server", "Offline", "SingleStream", "MultiStream"]
Kind = Literal["closed loop"] | Scenario

_NAME = "results.json"


class Run(Part):
    """One run against one variant. `callers` belongs to closed loops, `rate` (requests a second) to Server.

    `repeats` earlier ones of its kind did not settle, and are not shown. `worker_bytes` is the most that the version's
    workers held during it: their share of resident memory, a page that N processes map counted as an Nth.
    """

    version: str
    kind: Kind
    protocol: Protocol
    round: int
    callers: int | None = None
    rate: float | None = None
    recording: Recording
    verdict: Verdict
    load: Load | None = None
    split: TimeSplit | None = None
    neighbours: Neighbours | None = None
    repeats: int = 0
    worker_bytes: int | None = None

    @property
    def holds_bound(self) -> bool:
        """Whether a Server run proves that its rate stays within the bound, without an error."""
        return self.load is not None and self.load.state == "held"


class Search(Part):
    """How the rate of one variant was found."""

    version: str
    found: RateSearch


class Bound(Part):
    """The latency that a variant has to stay within at p99, and where it comes from."""

    ms: float
    why: str


Standing = Literal["shown", "too slow", "too short or too noisy"]


class Recommendation(Part):
    """Which variant to deploy, and why, in plain sentences; the caveats belong beside it.

    Only where `standing` is "shown" did a valid run show a variant to hold the bound; otherwise `version` is the one
    that came closest, and nothing to deploy on.
    """

    version: str
    standing: Standing
    headline: str
    reasons: tuple[str, ...]
    caveats: tuple[str, ...] = ()


class Agreement(Part):
    """How REST and gRPC answered the same example rows, and the first of these answers."""

    first: Answer
    rows: int
    largest_difference: float


class ModelResults(Part):
    """What was measured of a model; `alerts` are a fleet's that fired meanwhile, where a Prometheus server looked."""

    index: ReleaseIndex
    manifests: tuple[Manifest, ...]
    agreement: Agreement
    bound: Bound
    runs: tuple[Run, ...]
    searches: tuple[Search, ...] = ()
    recommendation: Recommendation
    alerts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.index.model}, release {self.index.release}"

    @property
    def served(self) -> list[Manifest]:
        """Manifests of the variants that may be served: the reference first, then from slow to fast."""
        return order_manifests(manifest for manifest in self.manifests if manifest.variant in self.index.archives)

    @property
    def tested(self) -> list[Manifest]:
        """Manifests of the variants that were load-tested, in the same order."""
        versions = {run.version for run in self.runs}
        return [manifest for manifest in self.served if manifest.version in versions]

    @property
    def untested(self) -> list[Manifest]:
        """Manifests of the others that may be served: of them only their release tells."""
        tested = self.tested
        return [manifest for manifest in self.served if manifest not in tested]

    @property
    def rejected(self) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest.variant not in self.index.archives]

    def select(self, version: str, kind: Kind, protocol: str = "grpc") -> list[Run]:
        """The runs of one kind against one variant, in the order they were made."""
        return [run for run in self.runs if (run.version, run.kind, run.protocol) == (version, kind, protocol)]


class Results(Part):
    format: Literal[2] = 2
    name: str
    created: str
    command: str
    preset: str
    host: Host
    scraped_by: str
    models: tuple[ModelResults, ...]


def write_results(results: Results, folder: Path) -> Path:
    """Write `results.json` into a folder."""
    path = folder / _NAME
    path.write_text(results.model_dump_json(indent=1))
    return path


def read_results(folder: Path) -> Results:
    """Read what `write_results` wrote.

    Raises:
        ValueError: there is none, or none of this format (pydantic names the field).
    """
    try:
        content = (folder / _NAME).read_bytes()
    except OSError as error:
        raise ValueError(
            f"{folder} is no load test's folder: {_NAME}: {error.strerror}; `loadtest run` makes one in reports/"
        ) from None
    return Results.model_validate_json(content)


def pick_open_loop(model: ModelResults, version: str) -> Run | None:
    """The open-loop run to show: the highest rate that held the bound, else the lowest that was tried."""
    runs = model.select(version, "Server")
    held = [run for run in runs if run.holds_bound and run.verdict.valid]
    if held:
        return max(held, key=lambda run: run.rate or 0.0)
    return min(runs, key=lambda run: run.rate or 0.0, default=None)


def find_worker_mb(runs: Iterable[Run], version: str) -> float | None:
    """Find the most memory that a version's workers held in any of its runs, in MB; None where nobody measured it."""
    found = [run.worker_bytes for run in runs if run.version == version and run.worker_bytes]
    return max(found) / 1e6 if found else None


def count_valid(runs: Iterable[Run]) -> tuple[int, int]:
    """Count the valid runs, and all."""
    verdicts = [run.verdict.valid for run in runs]
    return sum(verdicts), len(verdicts)


def describe_release_speed(manifest: Manifest) -> str:
    """What a release measured of a variant's speed, in a phrase."""
    speed = manifest.speed
    threads = "one thread" if speed.threads == 1 else f"{speed.threads} threads"
    return f"{speed.rows_per_s:,.0f} rows/s and {speed.single_row_ms:.3g} ms for one row on {threads}, says its release"


def describe_repeats(runs: Iterable[Run]) -> str:
    """One phrase on runs that are not shown because they were made again; '' where none was."""
    count = sum(run.repeats for run in runs)
    return f"after {count} that did not settle and {'were' if count > 1 else 'was'} made again" if count else ""
