"""Rendered objects, and how to find one's way among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]


class Fleet:
    """All objects of one rendering."""

    def __init__(self, objects: list[Object]) -> None:
        self.objects = objects

    def of(self, *kinds: str) -> list[Object]:
        return [item for item in self.objects if item["kind"] in kinds]

    def find(self, kind: str, name: str) -> Object | None:
        return next((item for item in self.of(kind) if item["metadata"]["name"] == name), None)

    def settings(self, container: Object) -> dict[str, str]:
        """The environment of a container, from its ConfigMaps and its own list."""
        values: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            found = self.find("ConfigMap", source.get("configMapRef", {}).get("name", ""))
            values |= found["data"] if found else {}
        return values | {item["name"]: item.get("value", "") for item in container.get("env", ())}


def name_of(item: Object) -> str:
    return f"{item['kind']}/{item['metadata']['name']}"


def pod_of(workload: Object) -> Object:
    spec: Object = workload["spec"]["template"]["spec"]
    return spec


def containers_of(workload: Object) -> Iterator[Object]:
    pod = pod_of(workload)
    yield from pod.get("initContainers", ())
    yield from pod["containers"]


def server_of(workload: Object) -> Object:
    """The container that answers."""
    container: Object = pod_of(workload)["containers"][0]
    return container


def engine_of(workload: Object) -> Object | None:
    """The container that runs TorchServe, where that is not the one that answers."""
    inits = pod_of(workload).get("initContainers", ())
    return next((container for container in inits if container.get("command") == ["serve", "engine"]), None)


def matches(selector: Object | None, labels: Object) -> bool:
    """Say whether a label selector takes these labels; {} takes everything."""
    wanted = (selector or {}).get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items())


def labels_of(workload: Object) -> Object:
    labels: Object = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def probe_s(probe: Object) -> float:
    """Seconds until a probe that always fails is believed."""
    seconds: float = probe.get("initialDelaySeconds", 0) + probe.get("periodSeconds", 10) * probe.get(
        "failureThreshold", 3
    )
    return seconds


def memory_mib(quantity: str) -> float:
    """Read a memory quantity with a binary suffix."""
    units = {"Ki": 1 / 1024, "Mi": 1.0, "Gi": 1024.0}
    return float(quantity[:-2]) * units[quantity[-2:]]


def cores(quantity: str) -> float:
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)
