import pytest

from tests.services.client.open_inference_server import run_server


@pytest.fixture
def server():
    with run_server() as fake:
        yield fake
