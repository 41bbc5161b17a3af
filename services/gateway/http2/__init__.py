"""gRPC over our own HTTP/2: the hot path of the front door, at a third of the processor time of grpc.aio."""
