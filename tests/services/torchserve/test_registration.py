import json

import pytest

from services.torchserve.command import StartError
from services.torchserve.http_client import HttpAnswer
from services.torchserve.registration import register, unregister
from services.torchserve.settings import TorchServeSettings


class Management:
    """Behaves as TorchServe does: the default of several versions cannot be unregistered."""

    def __init__(self, *versions):
        self.versions = list(versions)
        self.default = versions[0]

    async def request(self, method, path, timeout_s=10):
        *_, version = path.split("?")[0].removesuffix("/set-default").split("/")
        if method == "GET":
            return HttpAnswer(200, json.dumps([{"modelVersion": name} for name in self.versions]).encode())
        if method == "PUT":
            self.default = version
        elif version not in self.versions:
            return HttpAnswer(404, b"{}")
        elif version == self.default and len(self.versions) > 1:
            return HttpAnswer(403, b"{}")
        else:
            self.versions.remove(version)
        return HttpAnswer(200, b"{}")


async def test_unregisters_the_version_that_torchserve_holds_for_its_default(variant):
    management = Management(variant.version, "4-int8")
    await unregister(management, variant)
    assert (management.versions, management.default) == (["4-int8"], "4-int8")


async def test_the_last_version_and_one_that_is_not_there_need_no_other(variant):
    management = Management(variant.version)
    await unregister(management, variant)
    assert management.versions == []
    await unregister(management, variant)


async def test_a_refused_registration_says_why():
    class Refusing:
        async def request(self, method, path, timeout_s):
            return HttpAnswer(400, b"no handler")

    with pytest.raises(StartError, match="refused double-3-eager: 400: no handler"):
        await register(Refusing(), "double-3-eager", TorchServeSettings())
