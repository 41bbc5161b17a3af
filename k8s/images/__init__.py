"""Container images: how they are built, what they hold, and that they answer."""
