import contextlib
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from loadtests.bench.front_door import FrontDoorError, check_answer, compare_front_door, find_libraries
from tests.services.client.open_inference_server import run_server


def test_a_missing_triton_is_not_h2loads_fault(tmp_path):
    with pytest.raises(FrontDoorError, match="pip install nvidia-pytriton"):
        compare_front_door(tmp_path / "bin" / "python", repeats=1, measure_s=0.1, console=Console(file=io.StringIO()))


@pytest.mark.parametrize(
    ("ours", "latency_ms", "reached"), [(3500.0, 0.33, True), (3400.0, 0.33, False), (3500.0, 0.34, False)]
)
def test_it_passes_only_where_both_bars_are_reached(monkeypatch, ours, latency_ms, reached):
    figures = {("ours", 64): (ours, 0.0), ("ours", 1): (0.0, latency_ms)}

    def run(address, path, body, *, callers, duration_s):
        requests_per_s, mean_ms = figures.get((address, callers), (1000.0, 1.0))
        return SimpleNamespace(requests_per_s=requests_per_s, mean_ms=mean_ms)

    @contextlib.contextmanager
    def serve(name):
        yield name

    for name, stand_in in {
        "release_tiny": lambda console: serve((Path(), Path())),
        "serve_ours": lambda folder: serve("ours"),
        "_serve_triton": lambda python, folder: serve("triton"),
        "check_answer": lambda name, address: None,
        "run_h2load": run,
    }.items():
        monkeypatch.setattr(f"loadtests.bench.front_door.{name}", stand_in)
    console = Console(file=io.StringIO())
    assert compare_front_door(Path(sys.executable), repeats=1, measure_s=1, console=console) is reached


def test_the_side_that_answers_wrongly_is_named():
    with run_server() as server, pytest.raises(FrontDoorError, match=f"triton at {server.url} does not answer: .*tiny"):
        check_answer("triton", server.url)


def test_the_stub_is_given_the_peers_own_libpython():
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}"
    assert list(Path(find_libraries(Path(sys.executable))).glob(f"{name}*"))
