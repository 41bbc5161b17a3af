"""What was measured of a variant when it was released: quality and its tests, speed, rows, searches, inputs."""

from __future__ import annotations

from pydantic import Field, model_validator

from model_store.baseline_words import tell_baseline
from model_store.part import Part


class PairedTest(Part):
    """How this variant differs from the reference on the same held-out rows."""

    name: str = Field(description="e.g. McNemar, paired bootstrap")
    reference: str = Field(description="variant compared with")
    difference: float = Field(description="variant minus reference, in the metric's unit, positive = better")
    interval: tuple[float, float] = Field(description="95 % confidence interval of the difference")
    p_value: float | None = None

    @property
    def detectable(self) -> float:
        """The smallest difference that counts: one of so much these rows show as often as not. Half of the interval."""
        return (self.interval[1] - self.interval[0]) / 2

    @property
    def detectable_in_words(self) -> str:
        """From which difference on one counts, for a reader."""
        if not self.detectable:
            return f"on no row another than {self.reference}'s"
        return f"differences from {self.reference} count from {self.detectable:.2g} on"


class BaselineTest(Part):
    """How the reference compares with answers that take no learning, on the same held-out rows."""

    name: str
    value: float = Field(description="of the baseline, in the metric of the quality")
    difference: float = Field(description="reference minus baseline, positive = better")
    interval: tuple[float, float] = Field(description="95 % confidence interval of the difference")

    @property
    def is_beaten(self) -> bool:
        """Whether something was learned; if not, the release was made with --allow-untrained."""
        return self.interval[0] > 0


class Quality(Part):
    metric: str
    value: float
    interval: tuple[float, float] = Field(description="95 % confidence interval of the value")
    n: int = Field(description="held-out rows measured")
    higher_is_better: bool = True
    dataset: str
    dataset_digest: str = Field(description="sha256 over the held-out rows")
    paired: PairedTest | None = Field(None, description="absent for the reference itself")
    against_parent: PairedTest | None = Field(
        None, description="with the run that this one was made from: its teacher, or what it was pruned from"
    )
    baseline: BaselineTest | None = Field(
        None, description="of the reference; absent where nobody checked: programs of one's own, releases from before"
    )

    @property
    def learned_in_words(self) -> str:
        """What shows that the reference has learned something."""
        return tell_baseline(self.baseline) if self.baseline else "nobody checked: there is no baseline"


class InputFeature(Part):
    """What the held-out rows of one input were like in one respect; see input_features.py."""

    input: str
    feature: str
    edges: tuple[float, ...] = Field(min_length=1, description="upper ends of all bins but the last, which has none")
    counts: tuple[int, ...] = Field(description="rows in each bin; the first and the last are for what no row had")

    @model_validator(mode="after")
    def _check(self) -> InputFeature:
        if len(self.counts) != len(self.edges) + 1:
            raise ValueError(
                f"feature {self.feature} of {self.input}: {len(self.edges)} edges, {len(self.counts)} bins"
            )
        return self


class RowCheck(Part):
    """Whether answers depend on the rows beside them, as the release found out on real rows."""

    independent: bool
    batch_sizes: tuple[int, ...]
    deviation: float = Field(description="largest change of an answer in a batch, relative to its size")
    tolerance: float = Field(description="what may be rounding")
    why: str


class Speed(Part):
    """Measured on the packaged program, in process, when it was released."""

    rows: int
    rows_per_s: float
    single_row_ms: float
    threads: int
    host: str
    rows_per_s_interval: tuple[float, float] | None = Field(
        None, description="95 % confidence interval of the median; absent in releases from before"
    )
    single_row_ms_interval: tuple[float, float] | None = None


class ParentRun(Part):
    """The run that this one was made from, its networks as they are, measured on the same rows and in turns."""

    run: str
    value: float = Field(description="in the metric of the variants' quality")
    interval: tuple[float, float] = Field(description="95 % confidence interval of the value")
    speed: Speed
    size_bytes: int = Field(description="of its weights")


class Trial(Part):
    """One way to round a variant, and what the search's own rows showed of it."""

    rounding: str
    difference: float = Field(description="from the reference, in the metric's unit, positive = better")
    interval: tuple[float, float] = Field(description="95 % confidence interval of the difference")
    rows_per_s: float
    passed: bool = Field(description="whether the gate's rule held on the search's rows")
    is_chosen: bool


class Search(Part):
    """The ways to round that were tried; the rows are others than those of the variant's quality."""

    dataset: str
    n: int
    trials: tuple[Trial, ...]
    left_out: dict[str, str] = Field(default_factory=dict, description="rounding → why it could not be built")
