from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from model_store.signing import Keyring
from model_store.store import Store
from services.gateway.pace import NUM_CALLS, check_pace
from tests import builders


@pytest.fixture
def certified(variant, tmp_path):
    """Batches of one row take 2 ms where it was certified."""
    release = builders.publish_release(Store(tmp_path / "store", Keyring(tmp_path / "keys")))
    return replace(variant, certificate=builders.make_certificate(release))


def answer_in(*times_s):
    left = list(times_s)

    async def infer(request):
        assert request.protocol == "self"
        request.compute_s = left.pop(0)

    return infer


async def test_a_machine_slower_than_certified_is_told_of(certified):
    with capture_logs() as logs:
        ratio = await check_pace(certified, answer_in(*[0.02] + [0.005] * (NUM_CALLS - 1)))
    assert ratio == pytest.approx(2.5, rel=0.01)
    (log,) = logs
    assert (log["log_level"], log["took_ms"], log["certified_ms"], log["rows"]) == ("warning", 5.0, 2.0, 1)
    assert "slower than certified" in log["event"]


async def test_a_machine_as_fast_as_certified_is_no_warning(certified):
    with capture_logs() as logs:
        ratio = await check_pace(certified, answer_in(*[0.09] * 3 + [0.0021] * (NUM_CALLS - 3)))
    assert ratio == pytest.approx(1.05, rel=0.01)
    assert [log["log_level"] for log in logs] == ["info"]


async def test_without_a_certificate_nothing_is_asked(variant):
    assert await check_pace(variant, answer_in()) is None
