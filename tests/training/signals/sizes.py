"""What makes a recipe of signals one of milliseconds, whatever its network."""

from typing import Any

# 250 samples are no multiple of 4.
TINY: dict[str, Any] = {
    "num_samples": 250,
    "num_train": 60,
    "num_validation": 20,
    "num_test": 40,
    "steps": 4,
    "batch_size": 8,
    "validate_every": 4,
    "num_calibration": 12,
    "num_examples": 3,
    "max_rows": 8,
}
