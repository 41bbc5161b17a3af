"""The same program behind other servers, each in an environment of its own, measured beside ours."""
