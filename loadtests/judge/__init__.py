"""Whether figures may be quoted, and which variant they speak for."""
