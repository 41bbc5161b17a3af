"""What is wrong with labelled images before anything is learned: rows that leak, contradict or say nothing."""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence

from torch import Tensor

from training.images.splits import ImageData, Split


def announce(data: ImageData) -> list[str]:
    """Print where the images went and what is wrong with them; returns the latter."""
    findings = find_faults(data)
    print("\n".join([data.describe_parts(), *(f"note: {finding}" for finding in findings)]), file=sys.stderr)
    return findings


def find_faults(data: ImageData) -> list[str]:
    """Say what whoever reads figures of this data should know; empty where nothing was found."""
    parts = {"training": data.train, "validation": data.validation, "test": data.test}
    digests = {name: _list_digests(part.images) for name, part in parts.items()}
    findings = _count_leaks(digests)
    labels = defaultdict(set)
    for name, part in parts.items():
        for digest, label in zip(digests[name], part.labels.tolist(), strict=True):
            labels[digest].add(label)
    if count := sum(len(found) > 1 for found in labels.values()):
        findings.append(f"{count} images occur with more than one label: no answer to them is always right")
    if count := sum(_count_blank(part) for part in parts.values()):
        findings.append(f"{count} images are of a single colour")
    for name, part in parts.items():
        present = set(part.labels.unique().tolist())
        if missing := [label for number, label in enumerate(data.labels) if number not in present]:
            findings.append(f"no {name} image of {', '.join(missing)}")
    return findings


def find_leaks(train: Tensor, validation: Tensor, test: Tensor) -> list[str]:
    """Say how many held-out images uint8 [N, H, W, C] are training images too; empty where none is."""
    parts = {"training": train, "validation": validation, "test": test}
    return _count_leaks({name: _list_digests(images) for name, images in parts.items()})


def _count_leaks(digests: Mapping[str, Sequence[bytes]]) -> list[str]:
    trained = set(digests["training"])
    findings = []
    for name in ("validation", "test"):
        if count := sum(digest in trained for digest in digests[name]):
            share = count / len(digests[name])
            findings.append(
                f"{count} of {len(digests[name])} {name} images ({share:.2%}) are training images too, bit for bit: "
                f"figures may be too good by as much"
            )
    return findings


def _list_digests(images: Tensor) -> list[bytes]:
    rows = images.contiguous().flatten(1).numpy()
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]


def _count_blank(split: Split) -> int:
    pixels = split.images.flatten(1, 2)
    return int((pixels == pixels[:, :1]).flatten(1).all(1).sum()) if len(split) else 0
