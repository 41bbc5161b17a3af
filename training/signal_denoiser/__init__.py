"""Disturbed signals in, what they were without wander, hum and noise out."""
