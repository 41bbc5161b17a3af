"""Methods to beat, each in complex arithmetic as its paper writes it."""
