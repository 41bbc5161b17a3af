"""Schemas of kinds that are not Kubernetes' own, and how they are made."""
