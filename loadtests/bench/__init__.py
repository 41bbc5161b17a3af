"""Benchmarks as commands: each prints one figure with its ratio, both sides alternating in one run."""
