"""What holds for every test process."""

import os

from xdist.scheduler import LoadScopeScheduling

# Before anything initializes gRPC: between fork and exec of a child with `preexec_fn` its fork handlers start a poller,
# which aborts when subprocess closes the descriptors.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

# `make test` runs two processes. Threads that wait in busy loops for cores which others have cost four times the
# processor time of one thread.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class FolderScheduling(LoadScopeScheduling):
    """Give each folder's tests to one process, so that what its conftest makes for the session is made once."""

    def _split_scope(self, nodeid):
        return nodeid.split("::")[0].rpartition("/")[0]


def pytest_xdist_make_scheduler(config, log):
    return FolderScheduling(config, log)
