"""What each of several gateway processes takes of settings that are meant for all."""

import pytest

from services.gateway.settings import GatewaySettings


def test_one_process_takes_everything():
    settings = GatewaySettings()
    assert settings.share() is settings


@pytest.mark.parametrize(("batches_per_worker", "of_each"), [(2, 1), (4, 2), (1, 1)])
def test_several_processes_share_a_workers_batches_and_what_is_bounded_for_all(batches_per_worker, of_each):
    settings = GatewaySettings(gateways=2, batches_per_worker=batches_per_worker, cache_mib=100, record_mib=1)
    part = settings.share()
    assert part.batches_per_worker == of_each
    assert (part.cache_mib, part.record_mib, part.drift_rows_per_s) == (50, 1, 5)


def test_what_is_off_stays_off():
    part = GatewaySettings(gateways=4, cache_mib=0, drift_rows_per_s=0).share()
    assert (part.cache_mib, part.drift_rows_per_s) == (0, 0)
