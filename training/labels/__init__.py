"""What kinds whose answer is one of several labels share: figures, calibration, McNemar's test, pictures."""
