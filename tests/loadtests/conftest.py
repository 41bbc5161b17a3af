import contextlib
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from model_store.open_inference import INTERNAL_ERROR, messages
from model_store.signing import Keyring
from model_store.store import Store
from tests import builders
from tests.certificates import write_certificate

TENSOR = {"datatype": "FP32", "shape": (-1, 2), "meaning": "numbers"}
TENSORS = {"inputs": [TENSOR | {"name": "x"}], "outputs": [TENSOR | {"name": "y"}]}


def make_manifest(variant, *, speed=100.0, passed=True, **changes):
    gate = {"rule": "not worse by more than 0.003", "passed": passed, "why": "difference -0.001 is within 0.003"}
    measured = {"rows": 64, "rows_per_s": speed, "single_row_ms": 1.0, "threads": 1, "host": "here"}
    known = {"model": "double", "gate": gate, "speed": measured}
    return builders.make_manifest(variant=variant, **(known | TENSORS | changes))


@pytest.fixture
def keys(tmp_path, monkeypatch):
    folder = tmp_path / "keys"
    monkeypatch.setenv("MILLRACE_KEYS", str(folder))
    return folder


@pytest.fixture
def store(tmp_path, keys):
    """A signed store with one release of `double`: variants eager and int8, the latter the default."""
    store = Store(tmp_path / "store", Keyring(keys))
    rows = {"x": np.arange(6, dtype=np.float32).reshape(3, 2)}
    builders.publish_release(store, "double", examples=rows, **TENSORS)
    return store


@pytest.fixture
def rest_url():
    """An OIP REST door with binary tensors: model `double` doubles its FP32 input."""
    with run_http_server(RestDoor) as door:
        yield f"http://127.0.0.1:{door.server_port}"


@pytest.fixture
def torchserve_url():
    """TorchServe's own door: models `double`, `broken` and `foreign`, which is not one of ours."""
    with run_http_server(TorchServeDoor) as door:
        yield f"http://127.0.0.1:{door.server_port}"


@pytest.fixture
def rest_tls(tmp_path):
    """The same by TLS: its URL, and the certificate to trust."""
    certificate, key = write_certificate(tmp_path)
    with run_http_server(RestDoor, certificate, key) as door:
        yield f"https://localhost:{door.server_port}", certificate


class RestDoor(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        json_size = int(self.headers["Inference-Header-Content-Length"])
        (tensor,) = json.loads(body[:json_size])["inputs"]
        data = (np.frombuffer(body[json_size:], np.float32) * 2).tobytes()
        output = {"name": "y", "datatype": "FP32", "shape": tensor["shape"]}
        head = json.dumps(
            {"model_name": "double", "outputs": [output | {"parameters": {"binary_data_size": len(data)}}]}
        ).encode()
        self.send_response(200 if self.path.startswith("/v2/models/double/versions/") else 404)
        self.send_header("Inference-Header-Content-Length", str(len(head)))
        self.send_header("Content-Length", str(len(head) + len(data)))
        self.end_headers()
        self.wfile.write(head + data)

    def log_message(self, *arguments):
        pass


class TorchServeDoor(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = messages().ModelInferRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        response = messages().ModelInferResponse(model_name=request.model_name)
        response.raw_output_contents.append((np.frombuffer(request.raw_input_contents[0], np.float32) * 2).tobytes())
        if request.model_name == "broken":
            response.parameters[INTERNAL_ERROR].string_param = "Traceback"
        data = b"seven" if request.model_name == "foreign" else response.SerializeToString()
        path = f"/predictions/{request.model_name}/{request.model_version}/packed"
        self.send_response(200 if self.path == path else 404)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def run_http_server(handler, *certificate):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        # Shaking hands in the thread of each connection, where a caller who does not trust this one ends no other.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
