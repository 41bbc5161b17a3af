"""What `loadtest tune` found best for a model on a class of host: `<store>/<model>/tuning.json`.

`serve` starts with it. It is the choice of four numbers by a machine's owner and no part of a release: validated, but
not signed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from host.replacement import replacing
from model_store.certificate import HostClass
from model_store.manifest import NAME_PATTERN
from model_store.part import Part

FORMAT: Final = 1
FILE_NAME: Final = "tuning.json"


class TuningError(ValueError):
    """The file is no tuning; names it and says what is wrong."""


class TunedSettings(Part):
    """Settings of `serve` by their names."""

    workers: int = Field(ge=1, le=256)
    threads: int = Field(ge=1)
    max_batch_rows: int = Field(ge=1)
    batches_per_worker: int = Field(ge=1, le=4)


class Tuning(Part):
    """The best settings of a search, and what they hold against the settings that nobody chose."""

    format: Literal[1] = FORMAT
    model: str = Field(pattern=NAME_PATTERN)
    version: str = Field(description="the one that was measured")
    host: HostClass
    settings: TunedSettings
    bound_ms: float = Field(gt=0)
    rows_per_s: float = Field(ge=0, description="highest rate that held the bound at p99")
    default_rows_per_s: float = Field(ge=0, description="the same with serve's own settings")
    tried: int = Field(ge=1)
    created: str = Field(description="ISO 8601, UTC")


_TUNINGS = TypeAdapter(tuple[Tuning, ...])


def read_tunings(root: Path, model: str) -> tuple[Tuning, ...]:
    """Read what was found for a model, one for each class of host.

    Raises:
        TuningError: the file is damaged or of another model.
    """
    path = root / model / FILE_NAME
    if not path.is_file():
        return ()
    try:
        tunings = _TUNINGS.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise TuningError(f"{path} is no tuning: {where}: {first['msg']}; remove it or run `loadtest tune`") from error
    if wrong := next((tuning for tuning in tunings if tuning.model != model), None):
        raise TuningError(f"{path} is of {wrong.model}; remove it or run `loadtest tune {model}`")
    return tunings


def write_tuning(root: Path, tuning: Tuning) -> Path:
    """Write a tuning beside a model's releases, in the place of an earlier one for the same class of host."""
    others = [other for other in read_tunings(root, tuning.model) if other.host != tuning.host]
    path = root / tuning.model / FILE_NAME
    with replacing(path) as file:
        file.write(_TUNINGS.dump_json((*others, tuning), indent=1))
    return path
