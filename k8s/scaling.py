"""When a model gets more or fewer pods: one pair of expressions, for KEDA, for the HPA and for the simulation.

Rows that wait for a slot say that there are too few pods now, whatever a row costs. They are nearly always 0 or many,
though: alone they would scale down to the point of collapse and up again. Rows per second against what a pod was
measured to do holds the number in between. Kubernetes takes the larger wish of the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from k8s.planning import NAMESPACE, ModelPlan

Object = dict[str, Any]

PROMETHEUS: Final = "http://prometheus-operated.monitoring:9090"
POLLING_S: Final = 10
# Without pods there are no series: KEDA would take that for a Prometheus that fails, and fall back to pods.
NO_PODS: Final = " or vector(0)"
COOLDOWN_S: Final = 900  # from the last call to the end of the last pods, beyond the hours

# Per pod: Kubernetes divides each by the number of pods and compares it with the target. The first comes to all rows
# that wait by all slots, also where pods differ in slots, since a pod serves one version.
WAITING: Final = "sum(millrace_waiting_rows{{{0}}}) / avg(millrace_slots{{{0}}})"
ROWS: Final = "sum(rate(millrace_batch_rows_sum{{{0}}}[1m]))"
METRICS: Final = {"millrace_waiting_rows_per_slot": WAITING, "millrace_rows_per_second": ROWS}


@dataclass(frozen=True)
class Hours:
    """When a fleet is awake whether it is called or not, as cron has it; else it ends when nobody calls for a while.

    Calls do not wake it: where there are no pods an Envoy Gateway answers by itself, and counts nothing for a model.
    """

    start: str
    end: str
    timezone: str


def read_hours(text: str) -> Hours:
    """Read `START;END;TIMEZONE`, both times as cron has them.

    Raises:
        ValueError: it is not of this form.
    """
    parts = [part.strip() for part in text.split(";")]
    if len(parts) != 3 or not parts[2] or any(len(part.split()) != 5 for part in parts[:2]):
        raise ValueError(f"hours are START;END;TIMEZONE, as in '0 7 * * 1-5;0 19 * * 1-5;Europe/Berlin'; got {text!r}")
    return Hours(*parts)


def scaling_targets(plan: ModelPlan) -> dict[str, int]:
    """Targets per pod by metric."""
    return {
        "millrace_waiting_rows_per_slot": plan.sizing.target_waiting_rows,
        "millrace_rows_per_second": plan.sizing.target_rows_per_s,
    }


def matched_version(plan: ModelPlan) -> tuple[str, str] | None:
    """Which version's rows count where a canary runs beside a model: PromQL's operator and the version."""
    if plan.is_canary:
        return "=", plan.manifest.version
    return ("!=", plan.canary.manifest.version) if plan.canary else None


def scaling_behavior(device: str) -> Object:
    """How fast: up at once by doubling, down slowly, slower still where a start costs a GPU's minutes."""
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": 30},
                {"type": "Pods", "value": 4, "periodSeconds": 30},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 1800 if device == "cuda" else 600,
            "policies": [{"type": "Percent", "value": 25, "periodSeconds": 60}],
        },
    }


def scaled_object(plan: ModelPlan, prometheus: str = PROMETHEUS, awake: Hours | None = None) -> Object:
    """Make KEDA's object for one model; with `awake` there may be no pod beyond these hours."""
    matcher = f'namespace="{NAMESPACE}",model="{plan.model}"'
    if matched := matched_version(plan):
        matcher += ',version{}"{}"'.format(*matched)
    triggers: list[Object] = [
        {
            "type": "prometheus",
            "name": name.replace("_", "-"),
            "metricType": "AverageValue",
            "metadata": {
                "serverAddress": prometheus,
                "query": METRICS[name].format(matcher) + (NO_PODS if awake else ""),
                "threshold": str(target),
                "ignoreNullValues": "false",
            },
        }
        for name, target in scaling_targets(plan).items()
    ]
    if awake:
        hours = {"timezone": awake.timezone, "start": awake.start, "end": awake.end}
        least = {"desiredReplicas": str(plan.sizing.min_replicas)}
        triggers.append({"type": "cron", "name": "awake", "metadata": hours | least})
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": plan.resource, "namespace": NAMESPACE, "labels": plan.labels},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": plan.resource},
            "minReplicaCount": 0 if awake else plan.sizing.min_replicas,
            **({"cooldownPeriod": COOLDOWN_S} if awake else {}),
            "maxReplicaCount": plan.sizing.max_replicas,
            "pollingInterval": POLLING_S,
            # Without Prometheus the fleet stays at what the demand was planned for.
            "fallback": {"failureThreshold": 6, "replicas": plan.sizing.replicas},
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": scaling_behavior(plan.manifest.target.device)}},
            "triggers": triggers,
        },
    }


def horizontal_autoscaler(plan: ModelPlan) -> Object:
    """Make the plain autoscaler for one model; needs `adapter_rules` in prometheus-adapter."""
    metrics = [
        {
            "type": "External",
            "external": {
                "metric": {"name": name, "selector": _select(plan)},
                "target": {"type": "AverageValue", "averageValue": str(target)},
            },
        }
        for name, target in scaling_targets(plan).items()
    ]
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": plan.resource, "namespace": NAMESPACE, "labels": plan.labels},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": plan.resource},
            "minReplicas": plan.sizing.min_replicas,
            "maxReplicas": plan.sizing.max_replicas,
            "behavior": scaling_behavior(plan.manifest.target.device),
            "metrics": metrics,
        },
    }


def _select(plan: ModelPlan) -> Object:
    """Select a model's series; prometheus-adapter adds the namespace itself."""
    selector: Object = {"matchLabels": {"model": plan.model}}
    if matched := matched_version(plan):
        operator = {"=": "In", "!=": "NotIn"}[matched[0]]
        selector["matchExpressions"] = [{"key": "version", "operator": operator, "values": [matched[1]]}]
    return selector


def adapter_rules() -> Object:
    """Make the rules with which prometheus-adapter offers both metrics (its `rules.external`)."""
    series = {
        "millrace_waiting_rows_per_slot": "millrace_waiting_rows",
        "millrace_rows_per_second": "millrace_batch_rows_sum",
    }
    return {
        "externalRules": [
            {
                "seriesQuery": series[name],
                "resources": {"overrides": {"namespace": {"resource": "namespace"}}},
                "name": {"as": name},
                "metricsQuery": expression.format("<<.LabelMatchers>>"),
            }
            for name, expression in METRICS.items()
        ]
    }
