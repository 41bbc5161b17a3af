"""What several kinds need of signals: generated electrocardiograms and disturbances, recordings, measured beats."""
