"""Everything known about making a model: fit, evaluate, release."""
