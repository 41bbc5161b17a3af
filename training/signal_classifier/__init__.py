"""Signals in, a probability for each of several labels out: what an electrocardiogram shows, or whatever labels say."""
