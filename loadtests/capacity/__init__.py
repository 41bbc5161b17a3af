"""What a served variant holds on this machine: certified, predicted, checked."""
