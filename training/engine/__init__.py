"""The model-blind half of training: it knows steps, optimizers, checkpoints and runs, and nothing about any model."""
