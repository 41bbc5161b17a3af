from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from loadtests.bench.front_door import FrontDoorError
from loadtests.bench.protection import Side, check_answer, write_certificate
from model_store.open_inference import INFER_PATH


@pytest.fixture
def serve(tmp_path):
    """Start a server by TLS that asks for the key `right`; gives its address and its certificate."""
    certificate, key = write_certificate(tmp_path)

    def answer(request, context):
        if ("x-api-key", "right") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
        return b""

    _, service, method = INFER_PATH.split("/")
    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(answer)})
    server.add_generic_rpc_handlers((handler,))
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    yield f"localhost:{port}", certificate
    server.stop(None).wait()


def test_a_refusal_is_not_taken_for_an_answer(serve):
    check_answer(Side(name="both", scheme="https", key="right"), *serve)
    with pytest.raises(FrontDoorError, match=r"the server with both does not answer: who are you\?"):
        check_answer(Side(name="both", scheme="https", key="wrong"), *serve)
