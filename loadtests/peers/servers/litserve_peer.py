"""LitServe: its batching, one worker. A row comes as base64 in JSON, which is the least it takes."""

from __future__ import annotations

import base64
import sys
from typing import Any

import litserve  # type: ignore[import-not-found]
from peer_session import Session  # type: ignore[import-not-found]


class Api(litserve.LitAPI):
    """The program."""

    def setup(self, device: str) -> None:
        self.session = Session()

    def decode_request(self, request: dict[str, str]) -> bytes:
        return base64.b64decode(request["row"])

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        return inputs

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        return output

    def predict(self, rows: list[bytes]) -> list[bytes]:
        answers: list[bytes] = self.session.run_bytes(rows)
        return answers

    def encode_response(self, output: bytes) -> dict[str, Any]:
        return {"row": base64.b64encode(output).decode()}


if __name__ == "__main__":
    # The shortest wait that still batches: 0 would turn batching off.
    api = Api(max_batch_size=Session().max_rows, batch_timeout=0.001)
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1).run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )
