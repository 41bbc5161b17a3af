"""How a worker that does not start tells the server why; imports nothing, so that it is there when all else fails."""

FAILURE_PREFIX = "MILLRACE WORKER FAILED: "
