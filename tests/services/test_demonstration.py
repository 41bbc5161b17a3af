"""What `serve --demo` shows before there is anything to serve; small commands stand for training and releasing."""

import asyncio
import os
import sys

import httpx
import pytest

from services import demonstration
from services.demonstration import Demonstration, DemonstrationError, demonstrate, list_steps
from services.gateway.http_server import open_port
from services.gateway.settings import GatewaySettings

BROWSER = {"accept": "text/html"}


def python(code):
    return [sys.executable, "-c", code]


@pytest.fixture(autouse=True)
def _no_last_look(monkeypatch):
    monkeypatch.setattr(demonstration, "LAST_LOOK_S", 0.0)


async def test_the_page_shows_how_far_it_is_and_the_gateway_gets_the_port(tmp_path):
    go_on = tmp_path / "go"
    wait = (
        "import pathlib, time\nprint('epoch 1/4', flush=True)\n"
        f"while not pathlib.Path({str(go_on)!r}).exists(): time.sleep(.01)"
    )
    steps = Demonstration([("Training", python(wait)), ("Releasing", python("print('<b>done</b>')"))])
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(demonstrate(steps, GatewaySettings(http_port=0), port.set_result))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await port}") as http:
        while (shown := (await http.get("/api/demo")).json())["share"] == 0:
            await asyncio.sleep(0.01)
        assert (shown["state"], shown["step"], shown["share"]) == ("working", 0, 0.25)
        assert shown["steps"] == ["Training", "Releasing"]
        assert shown["lines"][-1] == "epoch 1/4"
        page = await http.get("/", headers=BROWSER)
        assert page.headers["content-type"].startswith("text/html")
        assert (await http.get("/v2/health/live")).json() == {"live": True}
        for path in ("/v2/health/ready", "/api/models", "/v2/models/classifier"):
            assert (await http.get(path)).status_code == 503
        go_on.touch()
        assert await running == await port
    assert steps.describe()["state"] == "done"
    open_port("127.0.0.1", await port, "http_port").close()


async def test_a_command_that_fails_is_shown_and_told_with_its_last_words():
    steps = Demonstration([("Training", python("print('no torch here'); raise SystemExit(3)")), ("Never", ["nothing"])])
    with pytest.raises(DemonstrationError, match=r"failed with status 3:\n(.*\n)*no torch here"):
        await demonstrate(steps, GatewaySettings(http_port=0), lambda port: None)
    assert steps.describe()["state"] == "failed"


async def test_who_ends_the_server_ends_the_command(tmp_path):
    started = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(started)!r}).write_text(str(os.getpid())); time.sleep(60)"
    running = asyncio.create_task(Demonstration([("Training", python(code))]).run())
    while not (started.exists() and started.read_text()):
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def test_the_steps_are_the_commands_that_people_type(tmp_path):
    (_, train), (_, release) = list_steps(tmp_path / "store")
    assert [train[0].rpartition("/")[2], train[1]] == ["train", "classifier"]
    assert release[-2:] == ["--store", str(tmp_path / "store")]
    assert release[1] in train
