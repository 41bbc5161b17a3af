"""The code that runs inside a TorchServe worker; packed into every archive, so it needs only the `serve` group."""
