from pathlib import Path

import pytest

from services.catalogue import ServedVariant
from services.torchserve.worker_log import WorkerLog
from tests.services.gateway.conftest import make_manifest


@pytest.fixture
def log():
    variants = [
        ServedVariant(manifest=make_manifest(variant=name), archive=Path("a"), examples=Path("e"), is_default=True)
        for name in ("int8", "eager")
    ]
    return WorkerLog(variants, num_workers=1)


def feed(log, *lines):
    for line in lines:
        log.read_line(line)


def test_finds_no_fault_with_workers_that_load(log):
    feed(log, "INFO|W-9000-double_3-int8-stdout|[PID]17", "INFO|W-9000-double_3-int8-stdout|Torch worker started.")
    assert log.find_failure() is None


def test_shows_the_handlers_own_traceback(log):
    feed(
        log,
        "INFO|W-9000-double_3-int8-stdout|[PID]17",
        "WARN|W-9000-double_3-int8-stderr|MILLRACE WORKER FAILED: Traceback (most recent call last):",
        "WARN|W-9000-double_3-int8-stderr|MILLRACE WORKER FAILED: RuntimeError: built for AVX512",
        "INFO|W-9000-double_3-int8-stdout|Backend worker process died.",
        "INFO|W-9000-double_3-int8-stdout|Traceback (most recent call last):",
        "INFO|W-9000-double_3-int8-stdout|  more of TorchServe's own frames",
    )
    assert log.find_failure() == (
        "a worker of double 3-int8 did not start:\n"
        "    Traceback (most recent call last):\n"
        "    RuntimeError: built for AVX512"
    )


def test_reports_a_worker_that_ended_without_a_word(log):
    feed(log, "INFO|W-9001-double_3-eager-stdout|[PID]17", "INFO|W-9001-double_3-eager-stdout|[PID]18")
    assert "a worker of double 3-eager ended while it started, without a message" in log.find_failure()


def test_reports_a_model_that_torchserve_refused(log):
    feed(log, "WARN|main|Failed to load model: double-3-int8", "java.io.IOException: no space", "\tat some.Class")
    assert log.find_failure().startswith("TorchServe refused a model: Failed to load model: double-3-int8\n")
    assert "no space" in log.find_failure()
