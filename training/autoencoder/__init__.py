"""Images in, codes out, and the images again that the codes tell: what does not come back is unusual."""
