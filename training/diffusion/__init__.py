"""Diffusion models: noise in, images out, step by step."""
