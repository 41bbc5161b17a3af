"""Version strings, as TorchServe and requests have them: `3-int8` is exactly that, `3` the default of release 3."""

from __future__ import annotations


def split_version(version: str) -> tuple[str, str]:
    """Split a version string into the release's number and the variant, '' where it names none."""
    number, _, variant = version.partition("-")
    return number, variant
