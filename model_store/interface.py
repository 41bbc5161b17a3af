"""What callers see of a model: its tensors and request parameters, as the manifest describes them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from model_store.part import Part
from model_store.tensors import DTYPES


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


def _range_in_words(minimum: float | None, maximum: float | None, unit: str = "") -> str:
    after = f" {unit}" if unit else ""
    if minimum is None and maximum is None:
        return f"; in {unit}" if unit else ""
    if maximum is None:
        return f"; at least {minimum:g}{after}"
    if minimum is None:
        return f"; at most {maximum:g}{after}"
    return f"; {minimum:g} to {maximum:g}{after}"
