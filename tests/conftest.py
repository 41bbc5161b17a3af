"""What holds for every test process."""

import os

import pytest
from xdist.scheduler import LoadScopeScheduling

# Before anything initializes gRPC: between fork and exec of a child with `preexec_fn` its fork handlers start a poller,
# which aborts when subprocess closes the descriptors.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

# `make test` runs two processes. Threads that wait in busy loops for cores which others have cost four times the
# processor time of one thread.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

# What a test starts soon ends. In processor seconds, on two cores: a TorchServe's Java 2.3 until it is ready instead of
# 4.2, as its second compiler does not begin; what surrounds a program's kernels 7.2 at O0 instead of 9.2; and 12 in a
# fresh clone for programs by which torch asks whether g++ knows each instruction that this CPU has.
os.environ |= {
    "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1",
    "AOT_INDUCTOR_COMPILE_WRAPPER_OPT_LEVEL": "O0",
    "TORCHINDUCTOR_VEC_ISA_OK": "1",
}


class FolderScheduling(LoadScopeScheduling):
    """Give each folder's tests to one process, so that what its conftest makes for the session is made once."""

    def _split_scope(self, nodeid):
        return nodeid.split("::")[0].rpartition("/")[0]


# The folders that take longest, first, so that no process is left alone with one of them at the end; but what measures
# times not beside what starts servers.
LONGEST_FIRST = [
    "tests/e2e",
    "tests/training/release",
    "tests/services/console/browser",
    "tests/k8s",
    "tests/training/classifier",
    "tests/loadtests",
    "tests/training/beamformer",
    "tests/handlers",
    "tests/services/gateway",
    "tests/services",
    "tests/training/seq2seq",
    "tests/training",
    "tests/training/gan",
    "tests/training/diffusion",
    "tests/loadtests/generate",
    "tests/loadtests/measure",
]


def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False  # it would begin with the folders of many tests, which are short ones
    return FolderScheduling(config, log)


def pytest_collection_modifyitems(items):
    def find_place(item):
        folder = item.nodeid.split("::")[0].rpartition("/")[0]
        return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=find_place)  # within a folder the order stays


@pytest.fixture(autouse=True)
def _logs_stay_unset(monkeypatch):
    """Leave logging as it is when a command is called in this process: from all tests after it, it would write to this
    test's standard error, which is closed by then.
    """
    monkeypatch.setattr("services.logs.configure_logs", lambda level: None)
