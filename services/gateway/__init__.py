"""The front door: Open Inference Protocol over gRPC and REST, batching, validation, metrics."""
