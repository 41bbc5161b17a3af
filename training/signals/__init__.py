"""What several kinds need of signals: generated electrocardiograms, and what spoils a recording."""
