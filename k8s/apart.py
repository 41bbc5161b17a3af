"""The shares of a pod's sizes where the engine has a container of its own (components/apart)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from k8s.nodes import size_resources
from k8s.planning import ModelPlan

Object = dict[str, Any]


def apart_component(plans: Sequence[ModelPlan]) -> Object:
    """Make the component that gives each model's Deployment its patch."""
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": [
            {"path": f"{plan.name}.yaml", "target": {"kind": "Deployment", "name": plan.resource}} for plan in plans
        ],
    }


def apart_patch(plan: ModelPlan) -> Object:
    """Make the patch that shares one model's sizes out; a GPU is the engine's."""
    sizing = plan.sizing
    gateway = size_resources(sizing.gateway_millicores, sizing.gateway_mib)
    engine = size_resources(sizing.engine_millicores, sizing.engine_mib, plan.gpu)
    for amounts in gateway.values():
        amounts[plan.gpu_resource] = None  # takes it off
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": plan.resource},
        "spec": {
            "template": {
                "spec": {
                    "initContainers": [{"name": "verify"}, {"name": "engine", "resources": engine}],
                    "containers": [{"name": "serve", "resources": gateway}],
                }
            }
        },
    }
