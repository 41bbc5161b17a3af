"""The machine that a figure came from."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import psutil

from host.cpu import count_cores, cpu_model, name_features
from loadtests.measure.recording import Part

_PACKAGES = ("torch", "torchserve", "grpcio", "locust", "mlcommons-loadgen")


class Host(Part):
    cpu: str
    cores: int
    cores_usable: int
    flags: tuple[str, ...]
    memory_gib: float
    system: str
    python: str
    packages: dict[str, str]
    load_average: float


def describe_host() -> Host:
    """Describe this machine, and how busy it was before the test."""
    return Host(
        cpu=cpu_model() or platform.processor() or platform.machine(),
        cores=psutil.cpu_count(logical=True) or 1,
        cores_usable=count_cores(),
        flags=name_features(),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=_system_name(),
        python=platform.python_version(),
        packages={package: version for package in _PACKAGES if (version := _version_of(package))},
        load_average=round(os.getloadavg()[0], 2),
    )


def _system_name() -> str:
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}"
    except OSError:  # no os-release file: not a Linux distribution
        return f"{platform.system()} {platform.release()}"


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
