"""Whatever fits openapi.json, and what does not, sent to every operation: schemathesis, in an environment of its own.

SCHEMATHESIS=…/bin/schemathesis names its command; services/COMPATIBILITY.md has the whole line.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.slow

COMMAND = Path(os.environ.get("SCHEMATHESIS", "missing"))
# Bodies are described as they are for any model, so that not all that fits is right for one.
LEFT_OUT = "positive_data_acceptance"
NAMES = {"model": ["scale", "brightness"], "version": ["1", "1-eager"]}


def name_what_is_there(part):
    """Make of each path's names a choice of those that are served: a name made up meets nothing but 404."""
    if isinstance(part, dict):
        if part.get("in") == "path" and part["name"] in NAMES:
            part["schema"] = {"type": "string", "enum": NAMES[part["name"]]}
        for value in part.values():
            name_what_is_there(value)
    elif isinstance(part, list):
        for value in part:
            name_what_is_there(value)


@pytest.mark.skipif(not COMMAND.exists(), reason="SCHEMATHESIS does not name its command")
def test_no_operation_breaks_or_answers_otherwise_than_it_says(served, tmp_path):
    address = f"http://{served.http}"
    document = httpx.get(f"{address}/openapi.json").json()
    name_what_is_there(document)
    schema = tmp_path / "openapi.json"
    schema.write_text(json.dumps(document))
    options = ["--checks", "all", "--exclude-checks", LEFT_OUT, "--phases", "examples,coverage,fuzzing"]
    options += ["--max-examples", "20", "--request-timeout", "20", "--seed", "1", "--no-color"]
    done = subprocess.run(
        [str(COMMAND), "run", str(schema), "--url", address, *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    num_operations = sum(len(path) for path in document["paths"].values())
    assert re.findall(r"Tested: (\d+)", done.stdout) == [str(num_operations)]
    assert httpx.get(f"{address}/v2/health/ready").json() == {"ready": True}
    refusals = httpx.get(served.metrics).text
    assert 'outcome="invalid",protocol="http"' in refusals
    assert 'outcome="internal"' not in refusals
