import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.bench.front_door import FrontDoorError, check_answer, compare_front_door, find_libraries
from tests.services.client.open_inference_server import run_server


def test_a_missing_triton_is_not_h2loads_fault(tmp_path):
    with pytest.raises(FrontDoorError, match="pip install nvidia-pytriton"):
        compare_front_door(tmp_path / "bin" / "python", repeats=1, measure_s=0.1, console=Console(file=io.StringIO()))


def test_the_side_that_answers_wrongly_is_named():
    with run_server() as server, pytest.raises(FrontDoorError, match=f"triton at {server.url} does not answer: .*tiny"):
        check_answer("triton", server.url)


def test_the_stub_is_given_the_peers_own_libpython():
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}"
    assert list(Path(find_libraries(Path(sys.executable))).glob(f"{name}*"))
