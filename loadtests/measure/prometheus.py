"""What a Prometheus server knows of a deployed fleet's gateways."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from typing import Any

TIMEOUT_S = 30.0
REQUESTS = "sum by (model, version, outcome) (increase(millrace_requests_total{{{labels}}}[{window}s]))"
BUCKETS = "sum by (model, version, le) (increase(millrace_request_seconds_bucket{{{labels}}}[{window}s]))"

Key = tuple[str, str]


class PrometheusError(RuntimeError):
    """The server does not answer as one; says what it said."""


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """Evaluate an expression now and return its samples as Prometheus gives them.

    Raises:
        ValueError: that is no URL.
        PrometheusError: no answer, or one that is not Prometheus's.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no URL of a Prometheus server; expected http://host:9090")
    asked = f"{url.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as response:
            answer = json.loads(response.read())
        found: list[dict[str, Any]] = answer["data"]["result"]
    except urllib.error.HTTPError as error:
        raise PrometheusError(f"{url} refused {expression!r}: {error.read().decode(errors='replace')[:500]}") from error
    except OSError as error:
        raise PrometheusError(f"{url} does not answer: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PrometheusError(f"{url} does not answer as a Prometheus server does: {error!r}") from error
    return found


def read_outcomes(url: str, labels: str, window_s: float) -> dict[Key, dict[str, float]]:
    """Read how many requests of each version had each outcome; those by which a server asks itself are left out."""
    wanted = ",".join(filter(None, ('protocol!="self"', 'model!=""', labels)))
    found: defaultdict[Key, dict[str, float]] = defaultdict(dict)
    for sample in query(url, REQUESTS.format(labels=wanted, window=round(window_s))):
        metric = sample["metric"]
        found[metric["model"], metric["version"]][metric["outcome"]] = _value(sample)
    return dict(found)


def read_buckets(url: str, labels: str, window_s: float) -> dict[Key, list[tuple[float, float]]]:
    """Read how many answers of each version came within each bucket's upper bound (s), ascending."""
    found: defaultdict[Key, list[tuple[float, float]]] = defaultdict(list)
    for sample in query(url, BUCKETS.format(labels=labels, window=round(window_s))):
        metric = sample["metric"]
        found[metric["model"], metric["version"]].append((float(metric["le"]), _value(sample)))
    return {key: sorted(buckets) for key, buckets in found.items()}


def _value(sample: dict[str, Any]) -> float:
    value = float(sample["value"][1])
    return 0.0 if math.isnan(value) else value
