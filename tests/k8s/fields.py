"""Manifests by hand, without pytest: a node in a process of its own reads them too."""

# What the demo measured on two cores; for the shape of the numbers only.
SPEEDS = {"classifier": (4058.7, 64, 1_802_073), "seq2seq": (212.4, 32, 9_650_331)}


def make_fields(model: str, release: int, variant: str, device: str, capability: str) -> dict:
    """A manifest as plain JSON: its bytes, and so the digests in what is rendered, follow no default of the classes."""
    rows_per_s, max_rows, size_bytes = SPEEDS[model]
    return {
        "format": 1,
        "model": model,
        "release": release,
        "variant": variant,
        "description": "a net",
        "created": "2026-01-01T00:00:00+00:00",
        "handler": "tensor",
        "programs": {"main": "programs/main/main.pt2"},
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4], "meaning": "numbers"}],
        "input_sets": [["x"]],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2], "meaning": "numbers"}],
        "max_rows": max_rows,
        "quality": {
            "metric": "accuracy",
            "value": 0.9,
            "interval": [0.8, 0.95],
            "n": 100,
            "dataset": "test",
            "dataset_digest": "0" * 64,
        },
        "gate": {"rule": "any", "passed": True, "why": "it is the reference"},
        "speed": {
            "rows": max_rows // 2,
            "rows_per_s": rows_per_s if variant == "int8" else rows_per_s / 2,
            "single_row_ms": 2.0,
            "threads": 1,
            "host": "two cores",
        },
        "size_bytes": size_bytes,
        "target": {"device": device, "capability": capability, "torch_version": "2.13.0"},
        "files": {},
        "source": {"git_commit": "", "command": "release"},
    }
