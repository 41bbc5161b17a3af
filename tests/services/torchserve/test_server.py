"""TorchServe is started again whatever went wrong, for as long as it takes."""

import asyncio
import errno

import pytest

from services.torchserve import server
from services.torchserve.command import StartError
from services.torchserve.http_client import HttpAnswer
from services.torchserve.java import NoUsableJavaError
from services.torchserve.launching import Child
from services.torchserve.settings import TorchServeSettings

WAIT_S = 60


class Management:
    """Answers what is no description of a model."""

    async def request(self, method, path):
        return HttpAnswer(200, b"not what was asked for")

    def close(self):
        pass


class Launches:
    """Stands for TorchServe's start: each launch is a process that ends at once, lives on, or an error."""

    def __init__(self, torchserve, *outcomes):
        self.outcomes = list(outcomes)
        self.torchserve = torchserve
        self.are_done = asyncio.Event()

    async def launch(self, report_progress):
        outcome = self.outcomes.pop(0)
        if not self.outcomes:
            self.are_done.set()
        if isinstance(outcome, Exception):
            raise outcome
        pipe = asyncio.subprocess.PIPE
        self.torchserve._run = Child(await asyncio.create_subprocess_exec(outcome, stdin=pipe, stdout=pipe))
        self.torchserve._management = Management()


@pytest.fixture
async def torchserve(monkeypatch, variant):
    monkeypatch.setattr(server, "RESTART_DELAYS_S", (0.0,))
    monkeypatch.setattr(server, "WATCH_S", 0.01)
    return server.TorchServe([variant], TorchServeSettings())


@pytest.mark.parametrize("error", [ValueError("bad archive"), NoUsableJavaError("gone"), StartError("broke")])
async def test_survives_every_error_of_a_restart_and_of_looking_at_workers(torchserve, monkeypatch, error):
    launches = Launches(torchserve, "true", error, "true", error, "cat")
    monkeypatch.setattr(torchserve, "_launch", launches.launch)
    await torchserve.start()
    async with asyncio.timeout(WAIT_S):
        await launches.are_done.wait()
        while torchserve.num_engine_restarts < 2:
            await asyncio.sleep(0)
    await torchserve.stop()
    assert launches.outcomes == []


async def test_a_full_disk_is_told_with_its_place_and_nothing_is_left_there(torchserve, monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")  # sockets need a short path

    def fill(variant, settings, run_folder):
        (run_folder.path / "half").write_bytes(b"x")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr(server, "unpack_archive", fill)
    with pytest.raises(StartError, match=rf"unpacked into {folder}/millrace-\w+: No space left on device; make room"):
        await torchserve.start()
    assert list(folder.glob("millrace-*")) == []
