"""ONLINE: TorchServe under control, the front door, and the client."""
