"""Captions in, images of what they say out."""
