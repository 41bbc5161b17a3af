"""Images to learn from, and their digest: the data sets are the classifier's.

The generator sees the `train` part alone; `validation` watches it, `test` is for the evaluation at the end.
"""

from __future__ import annotations

import hashlib

from training.classifier.images import Split


def digest_of(split: Split) -> str:
    """Compute sha256 over images and labels, which names exactly what was learned from."""
    digest = hashlib.sha256()
    digest.update(f"{tuple(split.images.shape)}".encode())
    digest.update(split.images.contiguous().numpy().data)
    digest.update(split.labels.contiguous().numpy().data)
    return digest.hexdigest()
