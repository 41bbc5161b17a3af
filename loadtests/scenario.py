"""A scenario: which models get how many requests, when, written as a small YAML file.

name: lunchtime
bound_ms: 50
targets:
  - model: classifier
    share: 0.8
  - model: seq2seq
    version: 3-int8
    share: 0.2
load: {kind: spike, rate: 20, peak_rate: 200, seconds: 60, peak_seconds: 10}

Any other server of the protocol is asked with the rows of a model of the store, by the names that it has itself:

name: a Triton server, one caller
url: http://triton:8000
protocol: rest
bound_ms: 20
targets: [{model: classifier, called: {model: resnet}}]
load: {kind: singlestream, seconds: 20}

TorchServe itself, with an archive of the store in its model store and `--disable-token-auth`, is `protocol: torchserve`
and its inference address as `url`: what the gateway adds, or takes away, is the difference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from loadtests.addresses import split_address
from loadtests.generate.arrivals import draw_arrivals_until
from loadtests.generate.plan import Protocol

Rate = Annotated[float, Field(gt=0, description="requests a second")]
Seconds = Annotated[float, Field(gt=0)]


class ScenarioError(ValueError):
    """The file is no scenario; the message names file, field and what was expected."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Called(_Strict):
    """What a server that is not ours calls a model; without a version it chooses."""

    model: str
    version: str = ""


class Target(_Strict):
    """A model of the store, and its share of the requests.

    Version as `infer` has it ('' is the newest release's default). `called` is what the server knows it as.
    """

    model: str
    version: str = ""
    called: Called | None = None
    share: float = Field(default=1.0, gt=0)
    rows: int = Field(default=1, ge=1)


class _Random(_Strict):
    """Random arrivals: of `shape` 1 Poisson's, below it in bursts, above it evenly (gamma distributed gaps)."""

    shape: float = Field(default=1.0, gt=0)


class Server(_Random):
    """Arrivals at one rate: MLPerf's Server, and a soak when it takes hours."""

    kind: Literal["server", "soak"]
    rate: Rate
    seconds: Seconds

    def find_rate(self, time_s: np.ndarray) -> np.ndarray:
        return np.full_like(time_s, self.rate)


class Ramp(_Random):
    """Arrivals whose rate grows, or falls, evenly."""

    kind: Literal["ramp"]
    rate: Rate
    end_rate: Rate
    seconds: Seconds

    def find_rate(self, time_s: np.ndarray) -> np.ndarray:
        return self.rate + (self.end_rate - self.rate) * time_s / self.seconds


class Spike(_Random):
    """Arrivals at one rate, with a peak in the middle."""

    kind: Literal["spike"]
    rate: Rate
    peak_rate: Rate
    seconds: Seconds
    peak_seconds: Seconds

    @model_validator(mode="after")
    def _peak_fits(self) -> Spike:
        if self.peak_seconds >= self.seconds:
            raise ValueError(f"a peak of {self.peak_seconds:g} s does not fit into {self.seconds:g} s")
        return self

    def find_rate(self, time_s: np.ndarray) -> np.ndarray:
        return np.where(np.abs(time_s - self.seconds / 2) <= self.peak_seconds / 2, self.peak_rate, self.rate)


class Replay(_Strict):
    """Arrivals as they were recorded: a text file with one time in seconds a line; `speed` 2 plays twice as fast."""

    kind: Literal["replay"]
    file: Path
    speed: float = Field(default=1.0, gt=0)


class Streams(_Strict):
    """MLPerf's others: the next query when the last is answered, of one row or of eight, or all rows at once."""

    kind: Literal["singlestream", "multistream", "offline"]
    seconds: Seconds


Load = Annotated[Server | Ramp | Spike | Replay | Streams, Field(discriminator="kind")]


class Scenario(_Strict):
    """What a scenario's file says; `url` is any server of the protocol, without it the one that the command names."""

    name: str
    targets: tuple[Target, ...] = Field(min_length=1)
    load: Load
    bound_ms: float = Field(gt=0)
    warm_up_s: float = Field(default=1.0, ge=0)
    protocol: Protocol = "grpc"
    url: str | None = None
    seed: int = 1

    @model_validator(mode="after")
    def _streams_have_one_target(self) -> Scenario:
        if isinstance(self.load, Streams) and len(self.targets) > 1:
            raise ValueError(f"{self.load.kind} asks one target, not {len(self.targets)}; a mixture needs arrivals")
        return self

    @model_validator(mode="after")
    def _url_fits(self) -> Scenario:
        if self.url is None:
            return self
        is_http = self.url.startswith(("http://", "https://"))
        if self.protocol == "grpc":
            split_address(self.url)
        if is_http == (self.protocol == "grpc"):
            expected = "host:port, for gRPC" if is_http else f"http://host:port, for {self.protocol}"
            raise ValueError(f"the url {self.url!r} is not {expected}")
        return self

    @model_validator(mode="after")
    def _torchserve_needs_versions(self) -> Scenario:
        if self.protocol == "torchserve" and any(each.called and not each.called.version for each in self.targets):
            raise ValueError("TorchServe is asked for a version: say `called: {model: …, version: …}`, or leave it out")
        return self

    @model_validator(mode="before")
    @classmethod
    def _replay_is_cold(cls, data: Any) -> Any:
        is_replay = (
            isinstance(data, dict) and isinstance(data.get("load"), dict) and data["load"].get("kind") == "replay"
        )
        return {"warm_up_s": 0.0, **data} if is_replay else data


def read_scenario(path: Path) -> Scenario:
    """Read and validate a scenario; a recorded file's path counts from the scenario's folder.

    Raises:
        ScenarioError: not YAML, or a field is missing, unknown or out of range.
    """
    try:
        scenario = Scenario.model_validate(yaml.safe_load(path.read_text()))
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        fields = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors())
        raise ScenarioError(f"{path} is no scenario: {fields}") from error
    if isinstance(scenario.load, Replay):
        load = scenario.load.model_copy(update={"file": path.parent / scenario.load.file})
        return scenario.model_copy(update={"load": load})
    return scenario


def schedule_arrivals(scenario: Scenario) -> tuple[np.ndarray, np.ndarray]:
    """Draw when requests arrive, and which target's they are.

    Times are ascending seconds; a warm-up at the first rate comes first, except before what was recorded.

    Raises:
        ScenarioError: a recorded file is missing, empty or not ascending numbers.
    """
    random = np.random.default_rng(scenario.seed)
    load = scenario.load
    assert not isinstance(load, Streams)
    if isinstance(load, Replay):
        times = _read_times(load.file) / load.speed
    else:
        first = load.find_rate
        warm_up = draw_arrivals_until(scenario.warm_up_s, lambda time_s: first(0 * time_s), random, shape=load.shape)
        times = draw_arrivals_until(load.seconds, load.find_rate, random, shape=load.shape)
        times = np.concatenate([warm_up, scenario.warm_up_s + times])
    shares = np.array([target.share for target in scenario.targets])
    return times, random.choice(len(shares), len(times), p=shares / shares.sum())


def _read_times(path: Path) -> np.ndarray:
    try:
        times = np.atleast_1d(np.loadtxt(path, dtype=np.float64))
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{path} holds no arrivals: {error}") from error
    if times.ndim != 1 or not len(times) or (np.diff(times) < 0).any():
        raise ScenarioError(f"{path} must hold one time in seconds a line, ascending")
    return times - times[0]
