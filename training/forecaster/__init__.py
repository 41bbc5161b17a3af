"""Histories of numbers in, quantiles of their next steps out."""
