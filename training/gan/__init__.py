"""Latent vectors in, images out: adversarial networks and the autoencoder to compare them with."""
