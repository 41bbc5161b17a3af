import asyncio
import contextlib
import os

import pytest

from services.watching import watch_file, watch_store

WAIT_S = 20
# Long enough for a change to be told, were it one.
QUIET_S = 0.4


@contextlib.asynccontextmanager
async def watching(watch, path):
    changed = asyncio.Event()
    task = asyncio.create_task(watch(path, changed))
    await asyncio.sleep(QUIET_S)
    try:
        yield changed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def tells(changed, act):
    changed.clear()
    act()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(QUIET_S):
            await changed.wait()
    return changed.is_set()


async def test_releases_and_acts_are_changes_and_what_is_being_built_is_none(tmp_path):
    model = tmp_path / "net"
    (model / "acts").mkdir(parents=True)
    async with watching(watch_store, tmp_path) as changed:
        assert not await tells(changed, (model / ".building-1").mkdir)
        assert not await tells(changed, (model / ".building-1" / "half").touch)
        assert await tells(changed, lambda: (model / ".building-1").rename(model / "1"))
        assert await tells(changed, (model / "acts" / "1.json").touch)


async def test_a_file_that_is_replaced_or_linked_to_another_has_changed_and_its_neighbours_are_nothing(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "routing.yaml").touch()
    (tmp_path / "..data").symlink_to("old")
    (tmp_path / "routing.yaml").symlink_to("..data/routing.yaml")

    def swap():  # as Kubernetes changes a ConfigMap
        (tmp_path / "..tmp").symlink_to("new")
        os.rename(tmp_path / "..tmp", tmp_path / "..data")

    async with watching(watch_file, tmp_path / "routing.yaml") as changed:
        assert not await tells(changed, (tmp_path / "serve.log").touch)
        assert await tells(changed, swap)
        (tmp_path / "draft").write_text("models: {}")
        assert await tells(changed, lambda: (tmp_path / "draft").rename(tmp_path / "routing.yaml"))


@pytest.mark.parametrize("watch", [watch_store, watch_file])
async def test_a_folder_that_cannot_be_watched_is_looked_at_instead(tmp_path, watch, capsys):
    await watch(tmp_path / "gone" / "gone", asyncio.Event())
    assert "changes are found by looking only" in capsys.readouterr().out
