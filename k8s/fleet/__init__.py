"""A fleet on one machine: serving processes on loopback addresses behind the same Envoy that a cluster has."""
