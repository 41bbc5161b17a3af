import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from loadtests.generator import ClosedLoop, Traffic, run_closed_loop
from loadtests.payload import make_rest_bodies
from loadtests.rest import infer_rest
from model_store.store import write_examples


@pytest.fixture
def doubling_server():
    """OIP REST with binary tensors: doubles the FP32 input."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            json_size = int(self.headers["Inference-Header-Content-Length"])
            (tensor,) = json.loads(body[:json_size])["inputs"]
            data = (np.frombuffer(body[json_size:], np.float32) * 2).tobytes()
            output = {"name": "y", "datatype": "FP32", "shape": tensor["shape"]}
            head = json.dumps({"outputs": [output | {"parameters": {"binary_data_size": len(data)}}]}).encode()
            self.send_response(200 if "/double/versions/1-a/" in self.path else 404)
            self.send_header("Inference-Header-Content-Length", str(len(head)))
            self.send_header("Content-Length", str(len(head) + len(data)))
            self.end_headers()
            self.wfile.write(head + data)

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_binary_tensors_pass_in_both_directions(doubling_server):
    (body,) = make_rest_bodies([{"x": np.array([[1.5, 2]], np.float32)}])
    answer = infer_rest(doubling_server, "double", "1-a", body, timeout_s=10)
    np.testing.assert_array_equal(answer["y"], np.array([[3, 4]], np.float32))


@pytest.mark.parametrize(("model", "errors"), [("double", []), ("triple", ["HTTP 404"])])
def test_rest_users_are_measured_and_their_errors_counted(doubling_server, tmp_path, model, errors):
    write_examples(tmp_path / "examples.npz", {"x": np.ones((2, 2), np.float32)})
    traffic = Traffic(
        protocol="rest",
        url=doubling_server,
        model=model,
        version="1-a",
        examples_path=tmp_path / "examples.npz",
        input_names=("x",),
    )
    (recording,) = run_closed_loop(ClosedLoop(traffic=traffic, callers=(1,), warm_up_s=0.1, measure_s=0.5))
    assert list(recording.errors) == errors
    assert (recording.requests > 10) == (not errors)
