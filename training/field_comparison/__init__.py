"""The verb that compares what a field of a recipe may be, for every kind."""
