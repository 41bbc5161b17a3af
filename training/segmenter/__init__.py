"""Images in, the class of every pixel and of the whole image out."""
