import os

# Before anything initializes gRPC: between fork and exec of a child with `preexec_fn` its fork handlers start a poller,
# which aborts when subprocess closes the descriptors.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
