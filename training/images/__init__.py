"""What several kinds of model need of images: data sets, their parts, random changes, and the tensor they travel in."""
