"""Signals in, whether they are unusual out: by how much they are not what a narrow code tells of them."""
