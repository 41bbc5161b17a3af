"""All rules by name, and one way to apply them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from k8s.policy.cluster import FLEET_RULES
from k8s.policy.objects import Fleet, Object, name_of
from k8s.policy.pods import WORKLOAD_RULES


def _for_each_workload(rule: Callable[[Object, Fleet], Iterator[str]]) -> Callable[[Fleet], Iterator[str]]:
    def apply(fleet: Fleet) -> Iterator[str]:
        for workload in fleet.of("Deployment"):
            yield from (f"{name_of(workload)}: {violation}" for violation in rule(workload, fleet))

    return apply


RULES: Final[dict[str, Callable[[Fleet], Iterator[str]]]] = {
    **{rule.__name__: _for_each_workload(rule) for rule in WORKLOAD_RULES},
    **{rule.__name__: rule for rule in FLEET_RULES},
}


def find_violations(objects: list[Object]) -> list[str]:
    """Apply every rule; each violation names its rule and the object."""
    fleet = Fleet(objects)
    return [f"{name}: {violation}" for name, rule in RULES.items() for violation in rule(fleet)]
