"""The beginning of a text in, how it goes on out."""
