"""An engine apart and its gateways: what each sees when the other asks, ends or was never there."""

import asyncio
import os
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from services.torchserve import engine as engine_module
from services.torchserve import guard
from services.torchserve.apart import Apart
from services.torchserve.command import StartError
from services.torchserve.engine import Engine
from services.torchserve.engine_folder import KIND, SOCKET_NAME
from services.torchserve.handover import hand_over
from services.torchserve.launching import Launch
from services.torchserve.output import read_lines

WAIT_S = 20


@pytest.fixture
def folder():
    with TemporaryDirectory(prefix="apart-") as short:  # sockets have short paths
        yield Path(short) / "engine"


@pytest.fixture(autouse=True)
def torchserve(monkeypatch):
    """Something small in TorchServe's place, under the real guard; it does what the test says."""
    script = ["echo up; exec sleep 60"]

    async def start(launch, java, java_heap_mib, streams):
        command = (sys.executable, "-I", "-S", guard.__file__, str(launch.folder), "sh", "-c", script[0])
        stdin, stdout, stderr = streams
        return await asyncio.create_subprocess_exec(*command, stdin=stdin, stdout=stdout, stderr=stderr)

    monkeypatch.setattr(engine_module, "start_guarded", start)
    return script


@asynccontextmanager
async def running(folder):
    work = asyncio.create_task(Engine(folder, folder / "java", 256).run())
    try:
        async with asyncio.timeout(WAIT_S):
            yield work
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def launch(folder):
    apart = Apart(folder)
    run_folder = apart.create_folder()
    run = await apart.launch(Launch(folder=run_folder.path, shared_modules=("json",), threads=1))
    return run, run_folder.path


async def first_line(run):
    return await anext(read_lines(run.output))


async def test_what_it_prints_comes_and_it_ends_when_its_gateway_says_so(folder):
    async with running(folder):
        run, path = await launch(folder)
        assert await first_line(run) == "up"
        assert (run.ended, path.exists()) == (None, True)
        below = psutil.Process(run.root).children(recursive=True)
        assert below
        run.end()
        await run.wait()
        assert run.ended == "status 0"
        assert not path.exists()
        assert not any(process.is_running() for process in below)


async def test_a_gateway_learns_how_it_ended(folder, torchserve):
    torchserve[0] = "echo out of memory; exit 7"
    async with running(folder):
        run, path = await launch(folder)
        assert await first_line(run) == "out of memory"
        await run.wait()
        assert (run.ended, path.exists()) == ("status 7", False)


async def test_nothing_is_left_of_a_gateway_that_was_killed(folder):
    async with running(folder):
        run, path = await launch(folder)
        root = psutil.Process(run.root)
        os.close(run._life)  # what the kernel does
        run._life = None
        await run.wait()
        assert not root.is_running()
        assert not path.exists()


async def test_an_engine_that_is_stopped_ends_what_it_runs_first(folder):
    async with running(folder) as work:
        run, path = await launch(folder)
        await first_line(run)
        root = psutil.Process(run.root)
        work.cancel()
        await run.wait()
        assert run.ended == "its engine, which is gone"
        await asyncio.gather(work, return_exceptions=True)
        assert not root.is_running()
        assert not path.exists()
        with pytest.raises(StartError, match=f"no engine answers at {folder} .*`serve engine {folder}` is one"):
            await launch(folder)
        assert [*folder.iterdir()] == [*folder.glob("millrace-*")]


async def test_process_numbers_of_another_container_are_not_believed(folder, monkeypatch):
    async with running(folder):
        monkeypatch.setattr(engine_module.os, "getpid", lambda: 1)
        run, _ = await launch(folder)
        assert run.root is None
        run.end()
        await run.wait()


async def test_a_folder_that_it_does_not_see_is_refused(folder, tmp_path):
    async with running(folder):
        for path in (tmp_path, folder / "gone"):
            with pytest.raises(StartError, match=f"refuses: it sees no folder {path} in its own, {folder}; both have"):
                await Apart(folder).launch(Launch(folder=path, shared_modules=None, threads=1))


async def test_a_gateway_of_another_version_is_refused(folder):
    async with running(folder):
        with socket.socket(socket.AF_UNIX, KIND) as gateway:
            gateway.connect(str(folder / SOCKET_NAME))
            hand_over(gateway, {"folder": str(folder), "command": "anything"}, (0, 1, 2))
            said = await asyncio.to_thread(gateway.recv, 4096)
        assert b"its gateway is of another version than itself" in said


async def test_two_gateways_share_an_engine_and_end_apart(folder):
    async with running(folder):
        (one, _), (other, path) = await launch(folder), await launch(folder)
        one.end()
        await one.wait()
        assert (other.ended, path.exists()) == (None, True)
        other.end()
        await other.wait()


def test_a_folder_has_one_engine_and_what_a_killed_one_left_goes(folder):
    first = Engine(folder, folder / "java", 256)
    with pytest.raises(StartError, match="has an engine already"):
        Engine(folder, folder / "java", 256)
    (folder / "millrace-left").mkdir()
    first._listener.close()  # as when it is killed: its socket's file stays
    assert (folder / SOCKET_NAME).exists()
    second = Engine(folder, folder / "java", 256)
    assert [path.name for path in folder.iterdir()] == [SOCKET_NAME]
    second._listener.close()


def make_nothing(folder):
    pass


def make_file(folder):
    folder.write_text("")


def make_open(folder):
    folder.mkdir(mode=0o755)


def make_foreign(folder):
    folder.mkdir(mode=0o700)
    os.chown(folder, 4711, 4711)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (make_nothing, "there is no engine at .*No such file or directory.*run `serve engine "),
        (make_file, "is no folder; run `serve engine "),
        (make_open, "mode 0755, and who can write .* with mode 0700"),
        pytest.param(
            make_foreign,
            "belongs to user 4711 .* has to belong to user 0",
            marks=pytest.mark.skipif(os.getuid() != 0, reason="only root gives a folder away"),
        ),
    ],
)
def test_a_gateway_refuses_a_folder_that_is_not_its_users_alone(folder, make, said):
    make(folder)
    with pytest.raises(StartError, match=said):
        Apart(folder).create_folder()


def test_an_engine_refuses_a_folder_that_others_can_write_to(folder):
    make_open(folder)
    with pytest.raises(StartError, match="mode 0755"):
        Engine(folder, folder / "java", 256)


def test_a_folder_too_deep_for_sockets_is_refused(tmp_path):
    deep = tmp_path / ("d" * 80)
    deep.mkdir(mode=0o700)
    with pytest.raises(StartError, match="too deep for sockets: at most 62 characters"):
        Apart(deep).create_folder()
