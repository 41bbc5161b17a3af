"""Images in, the same things in another style out."""
