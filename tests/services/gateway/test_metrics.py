"""What the metrics say of the process itself."""

from importlib import metadata

import pytest

from services.gateway.metrics import Metrics


def test_an_installation_without_torch_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "torch":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr("services.gateway.metrics.metadata.version", version)
    labels = {"torch": "", "torchserve": real("torchserve"), "version": real("millrace")}
    assert Metrics().registry.get_sample_value("millrace_build_info", labels) == 1
