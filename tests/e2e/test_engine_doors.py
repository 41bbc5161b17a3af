"""TorchServe answers the gateway and nobody else, although everybody on this machine reaches its ports."""

import stat
from pathlib import Path

import grpc
import psutil
import pytest

INFERENCE = "/org.pytorch.serve.grpc.inference.InferenceAPIsService"
MANAGEMENT = "/org.pytorch.serve.grpc.management.ManagementAPIsService"


@pytest.fixture(scope="module")
def java(served):
    (java,) = [child for child in served.processes() if child.name() == "java"]
    return java


def test_its_ports_are_on_loopback_and_refuse_who_has_no_token(java):
    listening = [item.laddr for item in java.net_connections("inet") if item.status == psutil.CONN_LISTEN]
    assert len(listening) == 2
    codes = set()
    for address in listening:
        assert address.ip.removeprefix("::ffff:") == "127.0.0.1"
        with grpc.insecure_channel(f"127.0.0.1:{address.port}") as channel:
            for method in (f"{INFERENCE}/Predictions", f"{MANAGEMENT}/ListModels"):
                error = channel.unary_unary(method).future(b"", timeout=20).exception()
                codes.add((method.rpartition("/")[2], error.code().name))
    # A port has only the methods of its own service.
    assert codes == {
        (method, code) for method in ("Predictions", "ListModels") for code in ("PERMISSION_DENIED", "UNIMPLEMENTED")
    }


def test_its_folder_and_sockets_are_for_this_user_only(java):
    folder = Path(java.cwd())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    entries = [path for path in folder.rglob("*") if path.is_socket() or path.name == "key_file.json"]
    assert {"inference.sock", "management.sock", "key_file.json"} <= {path.name for path in entries}
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in entries} == {0}
