"""Sending load: what is sent, who sends it and when."""
