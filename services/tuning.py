"""Start with the settings that `loadtest tune` found, where nobody said otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from model_store.certificate import HostClass
from model_store.tuning import read_tunings


def find_tuned(
    root: Path, models: Iterable[str], hosts: Sequence[HostClass], given: Mapping[str, Any]
) -> tuple[dict[str, int], str]:
    """Find tuned settings that neither an option (`given`) nor the environment sets, and a line that says so.

    `hosts` are the classes that this machine is of, that of the device which computes first.

    Workers and batches are settings of the whole process: several models that were tuned differently get none.

    Raises:
        TuningError: a file is damaged.
    """
    found = {model: {tuning.host: tuning for tuning in read_tunings(root, model)} for model in models}
    known = {model: [tunings[host] for host in hosts if host in tunings] for model, tunings in found.items()}
    tuned = {model: tunings[0] for model, tunings in known.items() if tunings}
    if not tuned:
        return {}, ""
    names = ", ".join(tuned)
    choices = {tuning.settings for tuning in tuned.values()}
    if len(choices) > 1 or len(tuned) < len(found):
        return {}, f"not as tuned: {names} is served with models that were tuned otherwise or not at all"
    (choice,) = choices
    values = {
        name: value
        for name, value in choice.model_dump().items()
        if name not in given and f"MILLRACE_{name.upper()}" not in os.environ
    }
    if not values:
        return {}, ""
    said = ", ".join(f"{name} {value}" for name, value in values.items())
    first = next(iter(tuned.values()))
    return values, (
        f"as tuned for {names} on {first.created[:10]}: {said} ({first.rows_per_s:,.0f} rows/s within "
        f"{first.bound_ms:g} ms, {first.default_rows_per_s:,.0f} without)"
    )
