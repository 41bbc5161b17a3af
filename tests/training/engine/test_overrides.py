from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import pytest

from training.engine.overrides import from_record, override


@dataclass(frozen=True, kw_only=True)
class Recipe:
    epochs: float = 3.0
    width: int = 8
    widths: tuple[int, ...] = (1, 2)
    flip: bool = False
    kind: Literal["slow", "fast"] = "slow"
    file: str | None = None


def test_parses_each_type():
    changed = override(Recipe(), ["epochs=0.5", "width=4", "widths=3,4,5", "flip=true", "kind=fast", "file=a=b.pth"])
    assert changed == Recipe(epochs=0.5, width=4, widths=(3, 4, 5), flip=True, kind="fast", file="a=b.pth")
    assert override(changed, ["file=none"]).file is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("width=4.5", "--set width=4.5: must be a whole number"),
        ("flip=maybe", "must be true or false"),
        ("kind=medium", "must be one of slow, fast"),
        ("width", "takes field=value, got 'width'"),
    ],
)
def test_rejects_values_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        override(Recipe(), [change])


def test_unknown_field_lists_all_fields_and_the_closest():
    with pytest.raises(ValueError, match=r"did you mean epochs\?(.|\n)*epochs = 3.0\n  width = 8"):
        override(Recipe(), ["epoch=3"])


def test_record_round_trip_and_foreign_record():
    record = asdict(Recipe(widths=(7, 8)))
    assert from_record(Recipe, {**record, "widths": [7, 8]}) == Recipe(widths=(7, 8))
    with pytest.raises(ValueError, match="Recipe has no field depth"):
        from_record(Recipe, {**record, "depth": 2})
    assert from_record(Recipe, {**record, "depth": 2}, retired=("depth",)) == Recipe(widths=(7, 8))
