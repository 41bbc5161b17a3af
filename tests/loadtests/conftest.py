import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from model_store.manifest import Manifest, ReleaseIndex
from model_store.signing import Keyring
from model_store.store import EXAMPLES_NAME, Store, archive_name, file_digest, manifest_name, write_examples


def make_manifest(variant, *, model="double", release=1, speed=100.0, passed=True):
    paired = None
    if variant != "eager":
        paired = {"name": "McNemar", "reference": "eager", "difference": -0.001, "interval": (-0.003, 0.001)}
    return Manifest(
        model=model,
        release=release,
        variant=variant,
        description="a network",
        created="2026-01-31T12:00:00+00:00",
        kind="tensor",
        programs={"main": "main.pt2"},
        inputs=[{"name": "x", "datatype": "FP32", "shape": (-1, 2), "meaning": "numbers"}],
        input_sets=[("x",)],
        outputs=[{"name": "y", "datatype": "FP32", "shape": (-1, 2), "meaning": "twice x"}],
        max_rows=8,
        quality={
            "metric": "accuracy",
            "value": 0.93,
            "interval": (0.92, 0.94),
            "n": 2000,
            "dataset": "digits test",
            "dataset_digest": "0",
            "paired": paired,
        },
        gate={"rule": "not worse by more than 0.003", "passed": passed, "why": "difference -0.001 is within 0.003"},
        speed={"rows": 64, "rows_per_s": speed, "single_row_ms": 1.0, "threads": 1, "host": "here"},
        size_bytes=1_000_000,
        target={"device": "cpu", "capability": "AVX512", "torch_version": "2.13.0"},
        files={},
        source={"git_commit": "0", "command": "release"},
    )


@pytest.fixture
def keys(tmp_path, monkeypatch):
    folder = tmp_path / "keys"
    monkeypatch.setenv("MILLRACE_KEYS", str(folder))
    return folder


@pytest.fixture
def store(tmp_path, keys):
    """A signed store with one release of `double`: variants eager and int8, the latter the default."""
    store = Store(tmp_path / "store", Keyring(keys))
    with store.building("double") as (number, folder):
        digests = {}
        for variant, speed in (("eager", 100.0), ("int8", 400.0)):
            manifest = folder / manifest_name("double", number, variant)
            manifest.write_text(make_manifest(variant, release=number, speed=speed).model_dump_json())
            archive = folder / archive_name("double", number, variant)
            archive.write_bytes(variant.encode())
            digests[variant] = (file_digest(manifest), file_digest(archive))
        write_examples(folder / EXAMPLES_NAME, {"x": np.arange(6, dtype=np.float32).reshape(3, 2)})
        index = ReleaseIndex(
            model="double",
            release=number,
            default="int8",
            archives={variant: archive for variant, (_, archive) in digests.items()},
            manifests={variant: manifest for variant, (manifest, _) in digests.items()},
            examples=file_digest(folder / EXAMPLES_NAME),
        )
        store.publish(folder, index)
    return store


@pytest.fixture
def rest_url():
    """An OIP REST door with binary tensors: model `double` doubles its FP32 input."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            json_size = int(self.headers["Inference-Header-Content-Length"])
            (tensor,) = json.loads(body[:json_size])["inputs"]
            data = (np.frombuffer(body[json_size:], np.float32) * 2).tobytes()
            output = {"name": "y", "datatype": "FP32", "shape": tensor["shape"]}
            head = json.dumps({"outputs": [output | {"parameters": {"binary_data_size": len(data)}}]}).encode()
            self.send_response(200 if self.path.startswith("/v2/models/double/versions/") else 404)
            self.send_header("Inference-Header-Content-Length", str(len(head)))
            self.send_header("Content-Length", str(len(head) + len(data)))
            self.end_headers()
            self.wfile.write(head + data)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
