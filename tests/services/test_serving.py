import pytest

from services.gateway.settings import GatewaySettings
from services.serving import check_settings
from services.torchserve.settings import TorchServeSettings


def test_refuses_requests_larger_than_what_a_worker_takes():
    check_settings(TorchServeSettings(max_message_mib=8), GatewaySettings(max_body_mib=8))
    with pytest.raises(ValueError, match=r"MILLRACE_MAX_BODY_MIB is 9, .*MILLRACE_MAX_MESSAGE_MIB = 8"):
        check_settings(TorchServeSettings(max_message_mib=8), GatewaySettings(max_body_mib=9))
