import pytest

from services.gateway.keys import KeyFile, Verb
from services.gateway.settings import GatewaySettings
from services.serving import check_settings
from services.torchserve.settings import TorchServeSettings


def test_refuses_requests_larger_than_what_a_worker_takes():
    check_settings(TorchServeSettings(max_message_mib=8), GatewaySettings(max_body_mib=8))
    with pytest.raises(ValueError, match=r"MILLRACE_MAX_BODY_MIB is 9, .*MILLRACE_MAX_MESSAGE_MIB = 8"):
        check_settings(TorchServeSettings(max_message_mib=8), GatewaySettings(max_body_mib=9))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "models.example.com"])
def test_refuses_to_let_the_network_in_unasked(host, tmp_path):
    with pytest.raises(ValueError, match=f"--host {host} opens this server to everybody .* or say --insecure"):
        check_settings(TorchServeSettings(), GatewaySettings(host=host))
    check_settings(TorchServeSettings(), GatewaySettings(host=host, insecure=True))
    KeyFile(tmp_path / "keys.json").add("phone", (), (Verb.INFER,), None)
    check_settings(TorchServeSettings(), GatewaySettings(host=host, api_keys=tmp_path / "keys.json"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.1.7", "::1", "localhost"])
def test_asks_nobody_on_this_machine(host):
    check_settings(TorchServeSettings(), GatewaySettings(host=host))


def test_keys_that_cannot_be_read_stop_the_start(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read keys from .*none\.json"):
        check_settings(TorchServeSettings(), GatewaySettings(api_keys=tmp_path / "none.json"))
