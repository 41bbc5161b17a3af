"""Images in, class probabilities out."""
