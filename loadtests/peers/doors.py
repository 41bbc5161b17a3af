"""How a server is asked for one row: the prepared request, and how its answer is read."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import grpc
import numpy as np

from loadtests.bench.ceiling import Ceiling
from loadtests.bench.h2load import GRPC_HEADERS, run_h2load, write_grpc_frame
from loadtests.bench.rest_ceiling import run_rest_load
from loadtests.generate.payload import make_rest_bodies, make_rest_path
from loadtests.peers.environments import PeerError
from loadtests.peers.program import PeerProgram
from model_store.open_inference import INFER_PATH, messages
from model_store.tensors import encode_raw
from services.client.wire import encode_infer_request

# Open Inference Protocol over gRPC, a row as the body, or a row as base64 in JSON: each server's leanest way.
Form = Literal["oip", "body", "json"]
TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Door:
    """One server's address and request; measured and asked with the same bytes."""

    form: Form
    address: str
    path: str
    message: bytes
    headers: tuple[str, ...]

    @property
    def is_grpc(self) -> bool:
        return self.form == "oip"

    def ask(self) -> bytes:
        """Ask once and return the first output's raw bytes.

        Raises:
            PeerError: no answer, or none that can be read.
        """
        try:
            return self._ask_grpc() if self.is_grpc else self._ask_http()
        except grpc.RpcError as error:
            raise PeerError(f"{error.code().name}: {str(error.details())[:400]}") from error
        except urllib.error.HTTPError as error:
            raise PeerError(f"HTTP {error.code}: {error.read().decode(errors='replace')[:400]}") from error
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise PeerError(f"{type(error).__name__}: {error}") from error

    def measure(self, folder: Path, *, callers: int, seconds: float) -> Ceiling:
        """Have `callers` ask again and again, each when it has its answer.

        Raises:
            CeilingError: no generator is installed, or requests failed.
        """
        body = folder / "request.bin"
        if self.is_grpc:
            write_grpc_frame(self.message, body)
        else:
            body.write_bytes(self.message)
        run = run_h2load if self.is_grpc else run_rest_load
        return run(self.address, self.path, body, callers=callers, duration_s=seconds, headers=self.headers)

    def _ask_grpc(self) -> bytes:
        pool = messages()
        with grpc.insecure_channel(self.address) as channel:
            call = channel.unary_unary(self.path, None, pool.ModelInferResponse.FromString)
            answer = call(self.message, timeout=TIMEOUT_S)
        if answer.raw_output_contents:
            return bytes(answer.raw_output_contents[0])
        return np.array(answer.outputs[0].contents.fp32_contents, np.float32).tobytes()

    def _ask_http(self) -> bytes:
        headers = dict(header.split(": ", 1) for header in self.headers)
        request = urllib.request.Request(f"http://{self.address}{self.path}", data=self.message, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            data: bytes = response.read()
        if self.form == "body":
            return data
        answer = json.loads(data)
        return base64.b64decode(answer["row"] if isinstance(answer, dict) else answer[0])


def open_peer(form: Form, program: PeerProgram, address: str, path: str, *, as_list: bool) -> Door:
    """Prepare one row for a peer; `as_list` where it takes JSON with a list of rows."""
    raw = encode_raw(program.row)
    if form == "oip":
        request = messages().ModelInferRequest(model_name="peer")
        request.inputs.add(name="input", datatype=program.datatype, shape=program.row.shape)
        request.raw_input_contents.append(raw)
        return Door(form, address, INFER_PATH, request.SerializeToString(), GRPC_HEADERS)
    if form == "body":
        return Door(form, address, path, raw, ("Content-Type: application/octet-stream",))
    row = base64.b64encode(raw).decode()
    body = json.dumps({"rows": [row]} if as_list else {"row": row}).encode()
    return Door(form, address, path, body, ("Content-Type: application/json",))


def open_ours(program: PeerProgram, grpc_address: str, http_address: str, *, over_grpc: bool) -> Door:
    """Prepare the same row for our own front door, over gRPC or over REST with binary tensors."""
    manifest = program.subject.manifest
    batch = {program.subject.input_names[0]: program.row}
    outputs: Sequence[str] = [manifest.outputs[0].name]
    if over_grpc:
        message = encode_infer_request(manifest.model, batch, version=manifest.version, outputs=outputs)
        return Door("oip", grpc_address, INFER_PATH, message, GRPC_HEADERS)
    (rest,) = make_rest_bodies([batch], outputs)
    path = make_rest_path(manifest.model, manifest.version)
    headers = tuple(f"{name}: {value}" for name, value in rest.headers.items())
    return Door("body", http_address.removeprefix("http://"), path, rest.body, headers)
