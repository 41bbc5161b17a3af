"""MLServer: its adaptive batching, a runtime of our own in its process, Open Inference Protocol over gRPC."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found]
from peer_session import Session  # type: ignore[import-not-found]


class Peer(MLModel):
    """The program."""

    async def load(self) -> bool:
        self.session = Session()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(self.session.dtype, copy=False)
        output = NumpyCodec.encode_output("output", self.session.run(rows))
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=[output])


if __name__ == "__main__":
    grpc, http, metrics, folder = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    settings = {"host": "127.0.0.1", "grpc_port": grpc, "http_port": http, "metrics_port": metrics}
    (folder / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0, "debug": False}))
    model = {"name": "peer", "implementation": "mlserver_peer.Peer"}
    batching = {"max_batch_size": Session().max_rows, "max_batch_time": 0.001}
    (folder / "model-settings.json").write_text(json.dumps(model | batching))
    sys.exit(
        subprocess.run([str(Path(sys.executable).with_name("mlserver")), "start", str(folder)], check=False).returncode
    )
