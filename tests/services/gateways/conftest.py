"""A leading gateway and its followers in one process, on one port; the engine is one in this process too."""

import asyncio
import contextlib

import pytest

from services.catalogue import Catalogue
from services.console import Console
from services.doors import Doors
from services.gateway.core import Gateway
from services.gateway.http_server import open_port
from services.gateway.settings import GatewaySettings
from services.gateway.tensors import InferRequest, NamedTensor
from services.gateways.follower import Life
from services.gateways.processes import Followers
from services.gateways.served import Setup, describe_served
from services.gateways.whole import Whole, WholeControl
from tests.services.gateway.conftest import DoublingBackend, make_manifest, make_variant, manifest, variant

__all__ = ["manifest", "variant"]

BODY = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}'
WAIT_S = 20
ROW = NamedTensor("x", "FP32", (1, 2), b"\0" * 8)


class LeadingBackend(DoublingBackend):
    address = None


class FollowingBackend(DoublingBackend):
    """Has the workers of which the leader tells."""

    def __init__(self):
        super().__init__()
        self.told = {}

    def take(self, address, workers):
        self.told = workers

    def ready_workers(self, variant):
        return self.told.get(str(variant), frozenset())


class TaskProcess:
    """A follower in a task of this process, which may be killed as a process is."""

    pid = 0

    def __init__(self, end):
        self.engine = FollowingBackend()
        self.life = Life(lambda setup, channel: self.engine)
        self.task = asyncio.create_task(self.life.live(end))

    @property
    def gateway(self):
        return self.life._follower.gateway

    async def wait(self):
        await asyncio.wait([self.task])
        return 0

    def kill(self):
        self.task.cancel()

    def stop(self):
        """Stand still as a process does that was sent SIGSTOP, as far as the leader can see."""
        self.life._follower.answer = self.stand_still

    async def stand_still(self, word, *arguments):
        await asyncio.Event().wait()


class Control:
    """Loads nothing, and remembers who was to be loaded."""

    def __init__(self):
        self.loaded = []

    async def load(self, model):
        self.loaded.append(model)


class World:
    """A leader with followers."""

    def __init__(self, variant, folder, num, **settings):
        self.folder = folder
        self.settings = GatewaySettings(http_port=0, grpc_port=0, gateways=num, drain_timeout_s=5, **settings).share()
        self.processes = {}
        self.backend = LeadingBackend()
        self.gateway = Gateway(Catalogue([variant]), self.backend, self.settings)
        self.control = self.gateway.control = Control()
        self.followers = Followers(
            num - 1,
            lambda: describe_served(self.gateway, self.backend),
            self._make_setup,
            lambda word, *arguments: self.whole.answer(word, *arguments),
            on_gone=lambda number: self.whole.note_gone(number),
            launch=self._launch,
        )
        self.console = Console(self.gateway)
        self.whole = self.gateway.peers = Whole(self.gateway, self.followers, self.console.history.after)
        self.gateway.control = WholeControl(self.control, self.followers)
        ports = (open_port("127.0.0.1", 0, name, is_shared=True) for name in ("http_port", "grpc_port"))
        self.doors = Doors(self.gateway, self.console, *ports)

    @property
    def gateways(self):
        return [self.gateway, *(process.gateway for process in self.processes.values())]

    def _make_setup(self, number, turn, served):
        settings = self.settings.model_copy(update={f"{name}_port": port for name, port in self.doors.ports.items()})
        return Setup(
            number=number,
            settings=settings,
            num_workers=1,
            slots_per_worker=1,
            response_timeout_s=5,
            store=self.folder,
            turn=turn,
            served=served,
        )

    async def _launch(self, number, end):
        self.processes[number] = TaskProcess(end.dup())
        return self.processes[number]

    @contextlib.asynccontextmanager
    async def open(self):
        await self.doors.open()
        self.followers.start()
        try:
            await self.followers.settle(WAIT_S)
            await self.gateway.readiness.prove()
            await self.followers.spread()
            yield self
        finally:
            await asyncio.gather(self.doors.close(0), self.followers.stop(0))
            await self.gateway.close()

    async def call(self, times=1, **headers):
        """Infer over a connection of its own each time; returns the statuses."""
        return [await self._call(headers) for _ in range(times)]

    async def _call(self, headers):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.doors.ports["http"])
        fields = {"host": "here", "content-length": len(BODY), "connection": "close"} | headers
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"POST /v2/models/double/infer HTTP/1.1\r\n{head}\r\n".encode() + BODY)
        answer = await reader.read()
        writer.close()
        return int(answer.split()[1])

    async def metrics(self):
        """All samples by name and labels without the model's."""
        families = await self.whole.collect()
        return {
            (sample.name, *(value for label, value in sample.labels.items() if label not in ("model", "version"))): (
                sample.value
            )
            for family in families
            for sample in family.samples
        }

    async def until(self, condition):
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.005)


@pytest.fixture
async def make_world(variant, tmp_path):
    return lambda num=2, **settings: World(variant, tmp_path, num, **settings).open()


@pytest.fixture
def next_variant(tmp_path):
    """The next release of the same model."""
    folder = tmp_path / "next"
    folder.mkdir()
    return make_variant(make_manifest(release=4), folder)


def ask(gateway, version=""):
    """Ask one process."""
    return gateway.infer(InferRequest("double", version, "r", [ROW], protocol="grpc"))
