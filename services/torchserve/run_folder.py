"""The private folder of one run: TorchServe's configuration, its temporary files and the unpacked archives."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from services.catalogue import ServedVariant
from services.torchserve.settings import TorchServeSettings

# sockaddr_un holds 108 bytes; TorchServe appends `/.ts.sock.<port>` to its temporary folder.
LONGEST_FOLDER_PATH = 80

PREFIX = "millrace-"

# A file system in memory, where the machine has one.
MEMORY = Path("/dev/shm")

# A hundred years: a run has one set of tokens, which go away with its folder.
TOKEN_MINUTES = 100 * 365 * 24 * 60

# Names, shapes and parameters around a packed call's contents.
HEAD_BYTES = 2**20

LOGGING = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN">
  <Appenders>
    <Console name="stdout" target="SYSTEM_OUT"><PatternLayout pattern="%p|%t|%m%n"/></Console>
  </Appenders>
  <Loggers>
    <Logger name="MODEL_LOG" level="info"/>
    <Logger name="io.netty" level="error"/>
    <Root level="warn"><AppenderRef ref="stdout"/></Root>
  </Loggers>
</Configuration>
"""


class Tokens(NamedTuple):
    """What TorchServe asks for on each interface."""

    inference: str
    management: str


class RunFolder:
    """Paths of one run; everything is readable by this user only and goes away with the run."""

    def __init__(self, path: Path) -> None:
        if len(str(path)) > LONGEST_FOLDER_PATH:
            raise ValueError(
                f"the folder for temporary files is too deep for sockets: {path}; set TMPDIR to a shorter path"
            )
        self.path = path
        self.models = path / "models"
        self.temporary = path / "tmp"
        self.shared = _find_shared(path)
        self.configuration = path / "config.properties"
        self.logging = path / "log4j2.xml"
        self.inference_socket = path / "inference.sock"
        self.management_socket = path / "management.sock"
        self.fork_socket = path / "fork.sock"
        self.python = path / "python"
        self.tokens = path / "key_file.json"  # TorchServe's name for it, in its working directory

    @classmethod
    def create(cls, parent: Path | None = None) -> RunFolder:
        """Make a new folder with mode 0700, by default in the system's folder for temporary files."""
        folder = cls(Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)))
        folder.models.mkdir()
        folder.temporary.mkdir()
        folder.shared.mkdir(mode=0o700)
        folder.logging.write_text(LOGGING)
        return folder

    def read_tokens(self) -> Tokens | None:
        """Read what TorchServe lets its callers in by; None before it has written all of it."""
        try:
            tokens = json.loads(self.tokens.read_bytes())
            return Tokens(inference=tokens["inference"]["key"], management=tokens["management"]["key"])
        except (FileNotFoundError, ValueError):
            return None

    def unpacked(self, variant: ServedVariant) -> Path:
        """Folder of an unpacked archive; its name is what TorchServe registers."""
        return self.models / f"{variant.model}-{variant.version}"

    def remove(self) -> None:
        for path in (self.shared, self.path):
            shutil.rmtree(path, ignore_errors=True)


def _find_shared(path: Path) -> Path:
    """Find where large tensors are shared: in memory, unless another container has to see them too."""
    is_local = path.parent == Path(tempfile.gettempdir())
    return MEMORY / path.name if is_local and os.access(MEMORY, os.W_OK) else path / "shared"


def unpack_archive(variant: ServedVariant, settings: TorchServeSettings, folder: RunFolder) -> str:
    """Unpack an archive as a model folder for TorchServe and return its name.

    Workers and devices are a matter of this machine, not of the release, and TorchServe takes them only from the
    configuration inside a model: hence folders with a configuration of ours instead of the archives themselves.
    """
    target = folder.unpacked(variant)
    with zipfile.ZipFile(variant.archive) as archive:
        archive.extractall(target)
    manifest_path = target / "MAR-INF" / "MANIFEST.json"
    manifest = json.loads(manifest_path.read_text())
    packed_name = manifest["model"].get("configFile")
    packed = yaml.safe_load((target / packed_name).read_text()) if packed_name else {}
    (target / "served-config.yaml").write_text(
        yaml.safe_dump({**(packed or {}), **model_configuration(variant, settings)})
    )
    manifest["model"]["configFile"] = "served-config.yaml"
    manifest["runtime"] = "python"  # the interpreter that we name; `python3` would be whatever PATH has
    manifest_path.write_text(json.dumps(manifest))
    return target.name


def model_configuration(variant: ServedVariant, settings: TorchServeSettings) -> dict[str, object]:
    """Say how TorchServe runs one variant on this machine."""
    on_gpu = variant.manifest.target.device == "cuda"
    configuration: dict[str, object] = {
        "minWorkers": settings.workers,
        "maxWorkers": settings.workers,
        "batchSize": 1,
        "maxBatchDelay": 1,  # 0 would become 100 ms
        "responseTimeout": settings.response_timeout_s,
        "startupTimeout": int(settings.startup_timeout_s),
        "jobQueueSize": 10_000,  # the gateway bounds what waits
        "maxRetryTimeoutInSec": 2_000_000,  # after 300 s, the default, it would give a crashing worker up for good
        "deviceType": "cpu",
        "slots": variant.count_slots(settings.slots_per_worker),
    }
    if not on_gpu:
        return configuration
    configuration["cudaGraphs"] = settings.cuda_graphs
    if settings.device_ids and not settings.gpu_numbers:
        # TorchServe, which knows no names, is to leave its workers alone: they share the GPUs out among themselves.
        return configuration | {"gpus": list(settings.device_ids)}
    configuration["deviceType"] = "gpu"
    if settings.gpu_numbers:
        configuration["deviceIds"] = settings.gpu_numbers
    return configuration


def write_configuration(
    folder: RunFolder, models: Iterable[str], settings: TorchServeSettings, grpc_ports: Sequence[int]
) -> None:
    """Write `config.properties`: sockets inside the folder for what we use, loopback for what cannot be turned off."""
    size_bytes = settings.max_message_mib * 2**20 + HEAD_BYTES
    properties = {
        "inference_address": f"unix:{folder.inference_socket}",
        "management_address": f"unix:{folder.management_socket}",
        "grpc_inference_address": "127.0.0.1",
        "grpc_inference_port": grpc_ports[0],
        "grpc_management_address": "127.0.0.1",
        "grpc_management_port": grpc_ports[1],
        "enable_model_api": "true",  # for releases that come while others serve; only we reach its socket
        "enable_metrics_api": "false",
        "disable_system_metrics": "true",  # else a Python process every 60 s
        # Its gRPC servers cannot be turned off, and everybody on this machine reaches loopback: they ask for a token.
        "disable_token_authorization": "false",
        "token_expiration_min": TOKEN_MINUTES,
        "enable_envvars_config": "false",
        "model_store": folder.models,
        "load_models": ",".join(models),
        "allowed_urls": f"file://{folder.models}/.*",
        "number_of_netty_threads": 1,
        "netty_client_threads": 1,
        "max_request_size": size_bytes,
        "max_response_size": size_bytes,
        "default_response_timeout": settings.response_timeout_s,
    }
    folder.configuration.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
