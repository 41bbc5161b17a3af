"""The manifest: the one description of a released model that every room shares.

It lies inside the archive (`manifest.json`) and beside it. Handlers read the same JSON without this module, so that a
worker needs neither pydantic nor a checkout; everybody else reads it through these classes. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from model_store.interface import Parameter, Tensor
from model_store.measured import InputFeature, ParentRun, Quality, RowCheck, Search, Speed
from model_store.part import Part

FORMAT: Final = 1
NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,62}$"


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
    own_socket: bool = Field(
        False, description="its workers take calls by sockets of their own, not through TorchServe"
    )
    several_slots: bool = Field(False, description="its workers can be at several calls at once")
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


def read_manifest(path: Path) -> Manifest:
    """Read a manifest file.

    Raises:
        ValueError: not JSON, or not a manifest of this format (pydantic names the field).
    """
    return Manifest.model_validate_json(path.read_bytes())
