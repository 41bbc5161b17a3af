"""TorchServe under control: everything in this project that knows how TorchServe is run."""
