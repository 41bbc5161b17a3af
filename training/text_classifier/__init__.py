"""Texts in, a probability for each of several labels out: sentiment, topic, or whatever the labels say."""
