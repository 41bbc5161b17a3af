"""The manifest: the one description of a released model that every room shares.

It lies inside the archive (`manifest.json`) and beside it. Handlers read the same JSON without this module, so that a
worker needs neither pydantic nor a checkout; everybody else reads it through these classes. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from model_store.tensors import DTYPES

FORMAT: Final = 1
NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,62}$"


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SizeRange(Part):
    """What one free dimension of an input may be."""

    axis: int = Field(ge=1, description="which dimension; 0 is the rows")
    minimum: int = Field(1, ge=1)
    maximum: int | None = Field(None, description="none: any size from the minimum")
    name: str = Field("", description="dimensions of one name have the same size in a request")

    @model_validator(mode="after")
    def _check(self) -> SizeRange:
        if self.maximum is not None and self.maximum < self.minimum:
            raise ValueError(f"dimension {self.axis}: the largest size {self.maximum} is below {self.minimum}")
        return self


class Tensor(Part):
    """One OIP tensor of a model; the first dimension counts rows and is -1."""

    name: str
    datatype: str
    shape: tuple[int, ...] = Field(description="-1 marks a free dimension; the first is always the rows")
    meaning: str
    unit: str = ""
    minimum: float | None = Field(None, description="smallest meaningful value")
    maximum: float | None = Field(None, description="largest meaningful value")
    size_ranges: tuple[SizeRange, ...] = Field(
        (), description="of free dimensions besides the rows; one that is not named here takes any size from 1"
    )
    finite: bool = Field(True, description="NaN and infinities are refused (floating-point inputs)")
    optional: bool = False
    max_element_bytes: int | None = Field(None, description="limit for one element of a BYTES input")
    size_sets_time: bool = Field(
        False, description="a row takes longer the larger its elements are (BYTES inputs): similar rows share a batch"
    )
    singular: str = Field("", description="what one of a row's values is called in an answer for people; '' = the name")

    @property
    def in_words(self) -> str:
        """Meaning, unit, range, and whether it may be left out, for a reader."""
        optional = "; may be left out" if self.optional else ""
        return f"{self.meaning}{_range_in_words(self.minimum, self.maximum, self.unit)}{optional}"

    @model_validator(mode="after")
    def _check(self) -> Tensor:
        if self.datatype not in DTYPES:
            raise ValueError(f"tensor {self.name}: unknown datatype {self.datatype}; use one of {list(DTYPES)}")
        if not self.shape or self.shape[0] != -1:
            raise ValueError(f"tensor {self.name}: the first dimension must be -1 (rows), got shape {self.shape}")
        for sizes in self.size_ranges:
            if sizes.axis >= len(self.shape) or self.shape[sizes.axis] != -1:
                raise ValueError(
                    f"tensor {self.name}: dimension {sizes.axis} of {self.shape} is not free and has no range"
                )
        if self.size_sets_time and self.datatype != "BYTES":
            raise ValueError(f"tensor {self.name}: size_sets_time is for BYTES inputs, this one is {self.datatype}")
        return self


class Parameter(Part):
    """A request parameter that the model understands."""

    name: str
    kind: Literal["bool", "int64", "string", "double"]
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    readable_default: bool | int | float | str | None = Field(
        None, description="what the short way for people, /v1, sends where the caller gives none"
    )

    @property
    def in_words(self) -> str:
        """Kind, meaning, range and choices for a reader."""
        choices = f"; one of {', '.join(self.choices)}" if self.choices else ""
        return f"{self.kind}: {self.meaning}{_range_in_words(self.minimum, self.maximum)}{choices}"


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

    @property
    def in_words(self) -> str:
        """The figures, and a warning where they show nothing learned."""
        words = "beats" if self.is_beaten else "UNTRAINED, allowed so: not shown to beat"
        low, high = self.interval
        return f"{words} {self.name} ({self.value:.4f}) by {self.difference:+.4f} ({low:+.4f} … {high:+.4f})"


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
        return self.baseline.in_words if self.baseline else "nobody checked: there is no baseline"


class Gate(Part):
    rule: str
    passed: bool
    why: str
    outcome: Literal["passed", "worse", "too few rows", "unsound"] | None = Field(
        None, description="why it failed: worse, not proven by so few rows, or its answers are no answers of their rows"
    )
    rows_needed: int | None = Field(None, description="held-out rows that would be enough, where there were too few")
    live_margin: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of answers that may change, or mean relative change, with the metric still within the "
        "margin whatever the right answers are; none: the metric is not bounded so",
    )


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


class Target(Part):
    """What a program is bound to: it is refused elsewhere."""

    device: Literal["cpu", "cuda"]
    capability: str = Field(description="CPU instruction set (AVX2, AVX512, …) or GPU architecture (sm_90); '' = any")
    torch_version: str = Field(description="release of torch, without the build suffix; '' = any, or none")


class Source(Part):
    git_commit: str
    command: str
    seed: int | None = None


class Manifest(Part):
    """Everything known about one variant of one release of a model."""

    format: Literal[1] = FORMAT
    model: str = Field(pattern=NAME_PATTERN, description="the name under which it is released and served")
    kind: str = Field(
        pattern=NAME_PATTERN, description="what it is: the module in `handlers` that serves it, the verb that calls it"
    )
    release: int = Field(ge=1)
    variant: str = Field(pattern=NAME_PATTERN)
    description: str
    created: str = Field(description="ISO 8601, UTC")

    handler_options: dict[str, Any] = Field(
        default_factory=dict, description="what the handler must know (labels, limits, …)"
    )
    programs: dict[str, str] = Field(description="role → file inside the archive; one role, `main`, for most models")
    inputs: tuple[Tensor, ...]
    input_sets: tuple[tuple[str, ...], ...] = Field(
        description="the combinations of inputs a request may bring; optional inputs may be left out of their set"
    )
    outputs: tuple[Tensor, ...]
    default_outputs: tuple[str, ...] = Field((), description="outputs sent when a request names none; () = all")
    parameters: tuple[Parameter, ...] = ()
    input_features: tuple[InputFeature, ...] = Field(
        (), description="what live inputs are compared with; absent in releases from before"
    )
    max_rows: int = Field(ge=1, description="most rows in one batch")
    streams: bool = Field(False, description="a row's answer can be sent bit by bit, as it comes about")
    stops: bool = Field(
        False, description="work that nobody waits for any longer ends within a step, as where it streams"
    )
    shared_memory: bool = Field(
        False, description="its workers read large inputs from a file that the gateway maps too"
    )
    usage: str = Field("", description="what a person types after `infer NAME`; '' = what the examples show")

    quality: Quality
    gate: Gate
    row_check: RowCheck | None = Field(
        None, description="of this variant, or of all where rows mix: max_rows is then 1"
    )
    speed: Speed
    size_bytes: int = Field(description="of the program files together")
    search: Search | None = Field(None, description="of a variant that was chosen among several ways to round it")
    parent: ParentRun | None = Field(None, description="of a run that was pruned, taught or trained on")
    target: Target
    files: dict[str, str] = Field(description="file inside the archive → sha256; the manifest itself is not among them")
    source: Source

    @property
    def version(self) -> str:
        """TorchServe's version string, `<release>-<variant>`."""
        return f"{self.release}-{self.variant}"

    @property
    def can_stop(self) -> bool:
        """Whether its handler asks during a call for rows that nobody waits for any longer."""
        return self.stops or self.streams

    @property
    def properties(self) -> dict[str, str]:
        """What OIP metadata says of a model besides names, datatypes and shapes: one text each."""
        tensors = [("input", tensor) for tensor in self.inputs] + [("output", tensor) for tensor in self.outputs]
        return {
            "kind": self.kind,
            "description": self.description,
            "max_rows": str(self.max_rows),
            "input_sets": ", or ".join(" and ".join(names) for names in self.input_sets),
            **{f"{place}.{tensor.name}": tensor.in_words for place, tensor in tensors},
            **{f"parameter.{parameter.name}": parameter.in_words for parameter in self.parameters},
        }

    def leaves_to_chance(self, parameters: Mapping[str, Any]) -> bool:
        """Say whether an answer to a request with such parameters depends on a seed that it does not give.

        A model with the parameter `seed` draws; one with a `temperature` too does only where that is above 0.
        """
        names = {parameter.name for parameter in self.parameters}
        if "seed" not in names or "seed" in parameters:
            return False
        return "temperature" not in names or bool(parameters.get("temperature"))

    def input(self, name: str) -> Tensor | None:
        return next((tensor for tensor in self.inputs if tensor.name == name), None)

    def output(self, name: str) -> Tensor | None:
        return next((tensor for tensor in self.outputs if tensor.name == name), None)

    @model_validator(mode="before")
    @classmethod
    def _read_old(cls, content: Any) -> Any:
        """Read a manifest from before a model had a kind beside its name: its handler was its kind."""
        if isinstance(content, dict) and "handler" in content:
            return {"kind": content["handler"]} | {name: value for name, value in content.items() if name != "handler"}
        return content

    @model_validator(mode="after")
    def _check_names(self) -> Manifest:
        known = {tensor.name for tensor in self.inputs}
        used = {name for names in self.input_sets for name in names}
        if used != known:
            raise ValueError(f"input_sets name {sorted(used)}, inputs are {sorted(known)}")
        outputs = {tensor.name for tensor in self.outputs}
        if not set(self.default_outputs) <= outputs:
            raise ValueError(f"default_outputs {self.default_outputs} are not all among the outputs {sorted(outputs)}")
        return self


class GoldenOutput(Part):
    """One output that a variant gave for the examples when it was released."""

    variant: str = Field(pattern=NAME_PATTERN)
    inputs: tuple[str, ...] = Field(description="the input set that the examples were sent as")
    output: str
    tolerance: float | None = Field(
        None, ge=0, description="largest deviation of a row, relative to its size; 0 = equal; none = not compared"
    )
    why: str = Field("", description="why it is not compared")


class GoldenRows(Part):
    """What the variants answered to the examples; `golden.npz` has each by its place in `outputs`."""

    digest: str = Field(description="sha256 of golden.npz")
    outputs: tuple[GoldenOutput, ...]


class ReleaseIndex(Part):
    """`release.json`: the variants of one release, signed as a whole.

    `archives` lists only variants that may be served; `rejected` keeps the manifests of those that failed the gate and
    `left_out` the reasons for those that were not built.
    """

    format: Literal[1] = FORMAT
    model: str = Field(pattern=NAME_PATTERN)
    release: int = Field(ge=1)
    default: str = Field(description="of the variants that passed, the best at the objective")
    objective: str = Field("throughput", description="throughput, latency of one row, or size")
    archives: dict[str, str] = Field(description="variant → sha256 of its .mar")
    manifests: dict[str, str] = Field(description="variant, rejected ones too → sha256 of its manifest file")
    rejected: dict[str, str] = Field(default_factory=dict, description="variant → why it failed")
    left_out: dict[str, str] = Field(default_factory=dict, description="variant → why it was not built")
    examples: str = Field(description="sha256 of examples.npz: a few real input rows for warm-up and load tests")
    golden: GoldenRows | None = Field(None, description="absent in releases from before there were golden rows")
    evidence: str | None = Field(None, description="sha256 of evidence.zip: what the training run left to look at")

    @model_validator(mode="after")
    def _check(self) -> ReleaseIndex:
        if self.default not in self.archives:
            raise ValueError(f"default variant {self.default!r} has no archive; there are {sorted(self.archives)}")
        return self


def _range_in_words(minimum: float | None, maximum: float | None, unit: str = "") -> str:
    after = f" {unit}" if unit else ""
    if minimum is None and maximum is None:
        return f"; in {unit}" if unit else ""
    if maximum is None:
        return f"; at least {minimum:g}{after}"
    if minimum is None:
        return f"; at most {maximum:g}{after}"
    return f"; {minimum:g} to {maximum:g}{after}"


def read_manifest(path: Path) -> Manifest:
    """Read a manifest file.

    Raises:
        ValueError: not JSON, or not a manifest of this format (pydantic names the field).
    """
    return Manifest.model_validate_json(path.read_bytes())
