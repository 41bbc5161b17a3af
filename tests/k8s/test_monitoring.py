"""Rules, dashboard and runbook speak of metrics and alerts that exist."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from k8s.checks import check_rules
from k8s.dashboard import make_dashboard
from k8s.monitoring_objects import RULES_FILE, render_monitoring
from k8s.scaling import METRICS
from k8s.settings import ROOM
from loadtests.judge.live import FAILED
from services.catalogue import ServedVariant
from services.gateway.drift import LEAST_ROWS, DriftMetrics, DriftMonitor
from services.gateway.errors import STATUSES
from services.gateway.live_gate import GateMetrics, LiveGate
from services.gateway.metrics import Metrics
from services.torchserve.metrics import EngineMetrics
from tests.builders import make_manifest

RULES = [rule for group in yaml.safe_load(RULES_FILE.read_text())["groups"] for rule in group["rules"]]
SERIES = re.compile(r"(?<![:\w])(?:millrace|process)_\w+")


class Engine:
    """What the engine's metrics ask of TorchServe."""

    num_engine_restarts = 0
    root = 1

    def __init__(self, variant):
        self.variants = (variant,)

    def ready_workers(self, variant):
        return frozenset({os.getpid()})

    def num_restarts(self, variant):
        return 0

    def load_s(self, variant):
        return 1.0


def make_busy_monitor() -> DriftMonitor:
    """A monitor that has seen enough rows to say something."""
    feature = {"input": "x", "feature": "mean", "edges": [0.0], "counts": [1, 1]}
    monitor = DriftMonitor(make_manifest(input_features=[feature]), 1)
    for window in monitor._windows:
        for _ in range(LEAST_ROWS):
            window.add(1)
    return monitor


@pytest.fixture(scope="module")
def exported() -> set[str]:
    """Names of all series of a serving process, histograms with their parts."""
    metrics = Metrics()
    model = metrics.of("net", "1-int8")
    model.count("grpc", "ok")
    model.observe_batch(3, 0.01)
    metrics.release_refused.labels("net", "2").set(1)
    variant = ServedVariant(manifest=make_manifest(), archive=Path("none"), examples=Path("none"), is_default=True)
    metrics.registry.register(EngineMetrics(Engine(variant)))
    metrics.registry.register(GateMetrics(lambda: [LiveGate(variant, variant, 0.1).report()]))
    metrics.registry.register(DriftMetrics(lambda: [("net", "1-int8", make_busy_monitor())]))
    return {sample.name for family in metrics.registry.collect() for sample in family.samples}


def test_every_series_that_is_asked_for_is_exported(exported):
    asked = [rule["expr"] for rule in RULES] + list(METRICS.values())
    asked += [target["expr"] for panel in make_dashboard()["panels"] for target in panel["targets"]]
    found = {name for text in asked for name in SERIES.findall(text)}
    assert "millrace_queue_seconds_bucket" in found
    assert found - exported == set()


def test_every_model_metric_is_on_the_dashboard(exported):
    text = json.dumps(make_dashboard())
    families = {
        re.sub(r"_(bucket|sum|count|total|created)$", "", name) for name in exported if name.startswith("millrace_")
    }
    assert {family for family in families if family not in text} == set()


def test_every_way_in_which_the_server_fails_uses_up_the_error_budget():
    faults = {status.outcome for status in STATUSES.values() if status.http >= 500}
    failures = next(rule["expr"] for rule in RULES if rule.get("record") == "namespace_model:millrace_failures:ratio5m")
    (counted,) = re.findall(r'outcome=~"([^"]+)"', failures)
    assert set(counted.split("|")) == faults
    assert faults == FAILED


def test_every_alert_is_in_the_runbook_and_nothing_else_is():
    runbook = (ROOM / "RUNBOOK.md").read_text()
    alerts = {rule["alert"] for rule in RULES if "alert" in rule}
    assert set(re.findall(r"^## (Millrace\w+)$", runbook, re.MULTILINE)) == alerts
    for section in re.split(r"^## ", runbook, flags=re.MULTILINE)[1:]:
        assert "**Means**" in section, section.splitlines()[0]
        assert "**Do**" in section, section.splitlines()[0]


def test_every_alert_is_shown_to_fire():
    tests = yaml.safe_load((RULES_FILE.parent / "rules_test.yaml").read_text())["tests"]
    fired = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case.get("exp_alerts")}
    assert fired == {rule["alert"] for rule in RULES if "alert" in rule}


def test_rules_pass_their_own_tests():
    faults = check_rules(RULES_FILE.parent)
    if faults is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    assert faults == []


def test_the_dashboard_asks_in_valid_promql(tmp_path):
    asked = [target["expr"] for panel in make_dashboard()["panels"] for target in panel["targets"]]
    records = [
        {"record": f"panel:query:{number}", "expr": text.replace("$__rate_interval", "5m")}
        for number, text in enumerate(asked)
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": records}]}))
    (tmp_path / "rules_test.yaml").write_text("rule_files: [rules.yaml]\n")
    if (faults := check_rules(tmp_path)) is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    assert faults == []


def test_committed_objects_are_what_the_sources_say():
    folder = ROOM / "components" / "prometheus-operator"
    assert {name: (folder / name).read_text() for name in render_monitoring()} == render_monitoring()
