"""What must hold for every fleet, beyond what schemas can say: rules over rendered objects."""

from k8s.policy.rules import RULES, find_violations

__all__ = ["RULES", "find_violations"]
