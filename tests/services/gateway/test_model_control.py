import httpx
import pytest

from model_store.open_inference import messages
from services.gateway.errors import InvalidRequestError, PermissionDeniedError
from services.gateway.grpc import OpenInferenceService
from services.gateway.rest import make_app

LOAD = "/inference.GRPCInferenceService/RepositoryModelLoad"
UNLOAD = "/inference.GRPCInferenceService/RepositoryModelUnload"


class Control:
    def __init__(self):
        self.asked = []

    async def load(self, model):
        self.asked.append(f"load {model}")

    async def unload(self, model):
        self.asked.append(f"unload {model}")


async def call(gateway, path, request):
    method = OpenInferenceService(gateway).methods()[path]
    return await method.answer(request.SerializeToString(), None)


def make_client(gateway) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(make_app(gateway)), base_url="http://test")


async def test_models_are_not_for_callers_to_load_unless_that_is_allowed(gateway):
    with pytest.raises(PermissionDeniedError, match="MILLRACE_MODEL_CONTROL=1"):
        await call(gateway, LOAD, messages().RepositoryModelLoadRequest(model_name="double"))
    async with make_client(gateway) as client:
        answer = await client.post("/v2/repository/models/double/unload")
    assert (answer.status_code, "MILLRACE_MODEL_CONTROL=1" in answer.json()["error"]) == (403, True)


async def test_loads_and_unloads_as_tritons_clients_ask_for_it(gateway):
    gateway.control = control = Control()
    unload = messages().RepositoryModelUnloadRequest(model_name="b")
    unload.parameters["unload_dependents"].bool_param = False
    await call(gateway, LOAD, messages().RepositoryModelLoadRequest(model_name="a"))
    await call(gateway, UNLOAD, unload)
    async with make_client(gateway) as client:
        answers = [
            await client.post("/v2/repository/models/c/load", json={}),
            await client.post("/v2/repository/models/d/unload", json={"parameters": {"unload_dependents": False}}),
        ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert control.asked == ["load a", "unload b", "load c", "unload d"]


async def test_takes_no_configuration_or_files_from_callers(gateway):
    gateway.control = control = Control()
    load = messages().RepositoryModelLoadRequest(model_name="a")
    load.parameters["file:1/model.pt"].bytes_param = b"x"
    with pytest.raises(InvalidRequestError, match=r"takes no file:1/model\.pt"):
        await call(gateway, LOAD, load)
    async with make_client(gateway) as client:
        for body in ({"parameters": {"config": "{}"}}, [1], {"parameters": 1}):
            assert (await client.post("/v2/repository/models/a/load", json=body)).status_code == 400
    assert control.asked == []
