"""The Grafana dashboard: rows of panels in the order in which one asks when something is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Object = dict[str, Any]

OF_NAMESPACE: Final = 'namespace=~"$namespace"'
OF_GPUS: Final = f'{OF_NAMESPACE},pod=~"millrace-.*"'
OF_MODEL: Final = f'{OF_NAMESPACE},model=~"$model"'
WIDTH: Final = 24
HEIGHT: Final = 8


@dataclass(frozen=True)
class Panel:
    """One chart: its queries by legend, with `@` for the chosen namespace and models."""

    title: str
    unit: str
    queries: dict[str, str]
    text: str = ""


def _quantiles(metric: str) -> dict[str, str]:
    rate = f"sum by (model, le) (rate({metric}_bucket{{@}}[$__rate_interval]))"
    return {f"{{{{model}}}} p{percent}": f"histogram_quantile({percent / 100}, {rate})" for percent in (50, 99)}


ROWS: Final = (
    (
        Panel(
            "Ready pods",
            "short",
            {
                "{{model}} {{version}}": "sum by (model, version) (millrace_model_ready{@})",
                "{{model}} {{version}} unlike released": "sum by (model, version) (millrace_golden_mismatch{@}) > 0",
                "{{model}} {{version}} asking for no calls": "sum by (model, version) (millrace_model_slow{@}) > 0",
                "{{model}} {{version}} refused": "sum by (model, version) (millrace_release_refused{@}) > 0",
                "old routing": 'sum (millrace_routing_refused{namespace=~"$namespace"}) > 0',
            },
            "Unlike released: pods that compute something else than their golden rows say. Asking for no calls: where "
            "these take far longer than they should. Refused: releases that came and may not serve; the repository "
            "index says why. Old routing: the routing file is not valid.",
        ),
        Panel(
            "Requests", "reqps", {"{{model}}": "sum by (model) (rate(millrace_requests_total{@}[$__rate_interval]))"}
        ),
        Panel(
            "Outcomes other than ok",
            "reqps",
            {
                "{{model}} {{outcome}}": "sum by (model, outcome) "
                '(rate(millrace_requests_total{@,outcome!="ok"}[$__rate_interval]))'
            },
        ),
    ),
    (
        Panel("Latency", "s", _quantiles("millrace_request_seconds"), "From arrival to answer, at the gateway."),
        Panel("Wait for a slot", "s", _quantiles("millrace_queue_seconds"), "The part of latency that more pods cure."),
        Panel("Packed calls", "s", _quantiles("millrace_backend_seconds"), "To a worker and back."),
    ),
    (
        Panel(
            "Waiting rows per slot",
            "short",
            {"{{model}}": "sum by (model) (millrace_waiting_rows{@}) / sum by (model) (millrace_slots{@})"},
            "What scaling looks at.",
        ),
        Panel(
            "Rows",
            "rowsps",
            {"{{model}}": "sum by (model) (rate(millrace_batch_rows_sum{@}[$__rate_interval]))"},
            "The other thing that scaling looks at.",
        ),
        Panel(
            "Rows in a batch",
            "short",
            {
                "{{model}}": "sum by (model) (rate(millrace_batch_rows_sum{@}[$__rate_interval])) "
                "/ sum by (model) (rate(millrace_batch_rows_count{@}[$__rate_interval]))"
            },
        ),
    ),
    (
        Panel(
            "Live gate: answers changed",
            "percentunit",
            {
                "{{model}} {{version}}": "max by (model, version) (millrace_live_gate_change{@})",
                "{{model}} {{version}} at least": "max by (model, version) (millrace_live_gate_lower{@})",
                "{{model}} {{version}} at most": "min by (model, version) (millrace_live_gate_upper{@})",
                "{{model}} {{version}} allowed": "max by (model, version) (millrace_live_gate_margin{@})",
            },
            "What candidates change of the answers that are sent, with bounds that hold at all times together.",
        ),
        Panel(
            "Live gate: requests",
            "reqps",
            {
                "{{model}} {{version}} compared": "sum by (model, version) "
                "(rate(millrace_live_gate_requests_total{@}[$__rate_interval]))",
                "{{model}} {{version}} skipped": "sum by (model, version) "
                "(rate(millrace_live_gate_skipped_total{@}[$__rate_interval]))",
            },
        ),
        Panel(
            "Live gate: outcome",
            "short",
            {"{{pod}} {{model}} {{version}}": "millrace_live_gate_outcome{@}"},
            "1 passed, -1 failed, 0 undecided so far.",
        ),
    ),
    (
        Panel(
            "Busy time of a batch, by its rows",
            "s",
            {
                "{{model}}, at most {{rows}}": "sum by (model, rows) "
                "(rate(millrace_batches_seconds_total{@}[$__rate_interval])) "
                "/ sum by (model, rows) (rate(millrace_batches_total{@}[$__rate_interval]))"
            },
            "What a capacity certificate holds, live.",
        ),
        Panel(
            "Spread of the same",
            "s",
            {
                "{{model}}, at most {{rows}}": "sqrt(clamp_min(sum by (model, rows) "
                "(rate(millrace_batches_squared_seconds_total{@}[$__rate_interval])) "
                "/ sum by (model, rows) (rate(millrace_batches_total{@}[$__rate_interval])) "
                "- (sum by (model, rows) (rate(millrace_batches_seconds_total{@}[$__rate_interval])) "
                "/ sum by (model, rows) (rate(millrace_batches_total{@}[$__rate_interval]))) ^ 2, 0))"
            },
            "Standard deviation between batches.",
        ),
        Panel(
            "Rows by size of batch",
            "rowsps",
            {
                "{{model}}, at most {{rows}}": "sum by (model, rows) "
                "(rate(millrace_batches_rows_total{@}[$__rate_interval]))"
            },
        ),
    ),
    (
        Panel(
            "Memory of workers",
            "bytes",
            {"{{pod}} {{version}}": "millrace_worker_resident_bytes{@}"},
            "Their share: pages that several processes map count in parts.",
        ),
        Panel(
            "Workers and engines restarted",
            "short",
            {
                "{{pod}} {{version}}": "increase(millrace_worker_restarts_total{@}[$__rate_interval])",
                "{{pod}} engine": 'increase(millrace_engine_restarts_total{namespace=~"$namespace"}[$__rate_interval])',
            },
        ),
        Panel(
            "Start of the engine",
            "s",
            {"{{model}} {{version}}": "max by (model, version) (millrace_worker_load_seconds{@})"},
            "Launch to loaded workers: what one more pod takes.",
        ),
    ),
    (
        Panel(
            "Busy slots",
            "percentunit",
            {"{{model}}": "sum by (model) (millrace_busy_slots{@}) / sum by (model) (millrace_slots{@})"},
            "May pass 100 %: a full batch waits at a worker that is busy.",
        ),
        Panel(
            "Memory of the gateway",
            "bytes",
            {
                "{{pod}}": 'process_resident_memory_bytes{namespace=~"$namespace"} '
                "and on (namespace, pod) millrace_slots{@}",
                "{{pod}} answers in the cache": 'millrace_cache_bytes{namespace=~"$namespace"}',
            },
        ),
        Panel(
            "Processor of the gateway",
            "short",
            {
                "{{pod}}": 'rate(process_cpu_seconds_total{namespace=~"$namespace"}[$__rate_interval]) '
                "and on (namespace, pod) millrace_slots{@}"
            },
        ),
    ),
    (
        Panel(
            "Inputs unlike released",
            "short",
            {
                "{{model}} {{input}} {{feature}}": "max by (model, input, feature) "
                "(millrace_input_stability_index{@} and millrace_input_same_p_value{@} < 0.01 "
                "and millrace_input_watched_rows{@} > 0)"
            },
            "Population stability index, where the difference is none by chance: 0.1 is some change, 0.25 much.",
        ),
        Panel(
            "Descriptors and tasks of the gateway",
            "short",
            {
                "{{pod}} descriptors": 'process_open_fds{namespace=~"$namespace"} '
                "and on (namespace, pod) millrace_slots{@}",
                "{{pod}} tasks": 'millrace_tasks{namespace=~"$namespace"}',
            },
            "Both follow the calls and connections that are open.",
        ),
        Panel(
            "Pods by build",
            "short",
            {"{{version}}, torch {{torch}}": f"count by (version, torch) (millrace_build_info{{{OF_NAMESPACE}}})"},
        ),
    ),
    (
        Panel(
            "GPUs at work",
            "percentunit",
            {"{{pod}} {{gpu}}": f"avg by (pod, gpu) (DCGM_FI_PROF_GR_ENGINE_ACTIVE{{{OF_GPUS}}})"},
            "Share of the time in which anything was computed, of a slice too (components/dcgm).",
        ),
        Panel(
            "Memory of GPUs",
            "bytes",
            {"{{pod}} {{gpu}}": f"sum by (pod, gpu) (DCGM_FI_DEV_FB_USED{{{OF_GPUS}}}) * 2^20"},
        ),
        Panel(
            "Heat of GPUs",
            "celsius",
            {"{{pod}} {{gpu}}": f"max by (pod, gpu) (DCGM_FI_DEV_GPU_TEMP{{{OF_GPUS}}})"},
            "A hot GPU is clocked down: pods that became slow are found here.",
        ),
    ),
)


def make_dashboard() -> Object:
    """Make the dashboard as Grafana imports it."""
    panels: list[Object] = []
    for line, row in enumerate(ROWS):
        width = WIDTH // len(row)
        for column, panel in enumerate(row):
            position = {"x": column * width, "y": line * HEIGHT, "w": width, "h": HEIGHT}
            panels.append(_make_panel(len(panels) + 1, panel, position))
    return {
        "uid": "millrace",
        "title": "Millrace",
        "tags": ["millrace"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "type": "datasource", "query": "prometheus"},
                _variable("namespace", "label_values(millrace_model_ready, namespace)"),
                _variable("model", 'label_values(millrace_model_ready{namespace=~"$namespace"}, model)'),
            ]
        },
        "panels": panels,
    }


def _variable(name: str, query: str) -> Object:
    source = {"type": "prometheus", "uid": "$source"}
    return {
        "name": name,
        "type": "query",
        "datasource": source,
        "query": query,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _make_panel(number: int, panel: Panel, position: Object) -> Object:
    source = {"type": "prometheus", "uid": "$source"}
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.text,
        "gridPos": position,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query.replace("@", OF_MODEL), "legendFormat": legend}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }
