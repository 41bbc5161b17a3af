"""A text in, its translation or its summary out."""
