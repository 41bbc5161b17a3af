"""Our front door against Triton's, tiny network behind both: throughput at 64 callers, latency at one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from tritonclient import grpc as triton_grpc

from host.ports import find_free_ports
from loadtests.bench import tiny_program
from loadtests.bench.h2load import run_h2load, write_grpc_frame
from loadtests.bench.ratio import measure_ratio, print_bar
from loadtests.server import Server, run_server
from model_store.open_inference import INFER_PATH, messages

CALLERS = 64
BAR_THROUGHPUT, BAR_LATENCY = 3.5, 0.33
DEFAULT_TRITON = Path(".tools/pytriton/bin/python")
TRITON_START_S = 60.0


class FrontDoorError(RuntimeError):
    """A side of the comparison is missing, did not start or answered wrongly; the message names it."""


def compare_front_door(triton_python: Path, *, repeats: int, measure_s: float, console: Console) -> bool:
    """Release a tiny program, serve it by us and by Triton, measure both in turn; return whether both bars are reached.

    Raises:
        FrontDoorError: Triton's environment is missing, or a side did not start or answered wrongly.
        CeilingError: h2load is missing, or its calls failed.
    """
    if not triton_python.exists():
        folder = triton_python.parent.parent
        raise FrontDoorError(
            f"there is no {triton_python}; make it, of the Python version that Triton's stub needs:\n"
            f"  python3.11 -m venv {folder} && {folder}/bin/pip install nvidia-pytriton==0.7.0 'numpy<2'"
        )
    with release_tiny(console) as (folder, body), contextlib.ExitStack() as servers:
        ours = servers.enter_context(serve_ours(folder))
        triton = servers.enter_context(_serve_triton(triton_python, folder))
        check_answer("millrace", ours)
        check_answer("triton", triton)

        def measure_throughput(address: str) -> float:
            return run_h2load(address, INFER_PATH, body, callers=CALLERS, duration_s=measure_s).requests_per_s

        def measure_latency_ms(address: str) -> float:
            return run_h2load(address, INFER_PATH, body, callers=1, duration_s=measure_s).mean_ms

        throughput = measure_ratio(
            *("millrace", lambda: measure_throughput(ours), "triton", lambda: measure_throughput(triton)),
            unit="requests/s",
            repeats=repeats,
            console=console,
        )
        latency = measure_ratio(
            *("millrace", lambda: measure_latency_ms(ours), "triton", lambda: measure_latency_ms(triton)),
            unit="ms",
            repeats=repeats,
            console=console,
        )
    console.print(f"{CALLERS} callers: {throughput}")
    console.print(f"one caller, mean: {latency}")
    fast = print_bar(console, f"throughput, {CALLERS} callers", throughput.value, BAR_THROUGHPUT, unit="×")
    quick = print_bar(console, "mean latency, one caller", latency.value, BAR_LATENCY, at_least=False, unit="×")
    return fast and quick


@contextlib.contextmanager
def release_tiny(console: Console) -> Iterator[tuple[Path, Path]]:
    """Release the tiny program; gives a folder, the store in it, and the body of a call, for as long as it is open.

    Raises:
        FrontDoorError: it was not released.
    """
    with TemporaryDirectory(prefix="tiny-") as name:
        folder = Path(name)
        _release(folder, console)
        body = folder / "call.bin"
        write_grpc_frame(make_call(), body)
        yield folder, body


def _release(folder: Path, console: Console) -> None:
    console.print("releasing the tiny program (exported and compiled)")
    subprocess.run([sys.executable, tiny_program.__file__, str(folder)], check=True)
    command = [str(Path(sys.executable).with_name("release")), "--program", str(folder / "tiny.pt2"), "--name", "tiny"]
    command += ["--calibration", str(folder / "rows.npz"), "--max-rows", str(tiny_program.MAX_ROWS)]
    command += ["--variants", "eager,compiled", "--device", "cpu", "--store", str(folder / "store")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FrontDoorError(f"the tiny program was not released:\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def start_ours(
    folder: Path, options: Sequence[str] = (), settings: Mapping[str, object] | None = None, name: str = "plain"
) -> Iterator[Server]:
    """Serve what `release_tiny` made; `name` tells servers at once apart. It is not ready yet."""
    own = folder / name
    own.mkdir()
    options = ("--threads", "1", "--device", "cpu", *options)
    with run_server(
        folder / "store", ["tiny"], own, variants=("default",), options=options, settings=settings
    ) as server:
        yield server


@contextlib.contextmanager
def serve_ours(
    folder: Path, options: Sequence[str] = (), settings: Mapping[str, object] | None = None, name: str = "plain"
) -> Iterator[str]:
    """Serve what `release_tiny` made and give the address of its gRPC door; `name` tells servers at once apart."""
    with start_ours(folder, options, settings, name) as server:
        yield server.wait_ready().grpc


@contextlib.contextmanager
def _serve_triton(python: Path, folder: Path) -> Iterator[str]:
    ports = find_free_ports(3)
    sizes = (tiny_program.NUM_INPUTS, tiny_program.NUM_HIDDEN, tiny_program.NUM_OUTPUTS, tiny_program.MAX_ROWS)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LD_LIBRARY_PATH": find_libraries(python)}
    log = folder / "triton.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(python.absolute()), str(Path(__file__).with_name("triton_peer.py")), *map(str, (*ports, *sizes))],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    address = f"127.0.0.1:{ports[1]}"
    try:
        _wait_for_triton(address, process, log)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def find_libraries(python: Path) -> str:
    """Find the folder of an interpreter's own libpython: Triton's stub loads the system's otherwise, and breaks."""
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _wait_for_triton(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end_s = time.monotonic() + TRITON_START_S
    while time.monotonic() < end_s and process.poll() is None:
        with (
            contextlib.suppress(triton_grpc.InferenceServerException),
            triton_grpc.InferenceServerClient(address) as client,
        ):
            if client.is_model_ready("tiny"):
                return
        time.sleep(0.3)
    raise FrontDoorError(f"Triton was not ready after {TRITON_START_S:g} s:\n{log.read_text(errors='replace')[-3000:]}")


def make_call() -> bytes:
    """Make a serialized request of one row."""
    request = messages().ModelInferRequest(model_name="tiny")
    request.inputs.add(name="input", datatype="FP32", shape=[1, tiny_program.NUM_INPUTS])
    request.raw_input_contents.append(np.linspace(-1, 1, tiny_program.NUM_INPUTS, dtype=np.float32).tobytes())
    data: bytes = request.SerializeToString()
    return data


def check_answer(name: str, address: str) -> None:
    """Ask a side once.

    Raises:
        FrontDoorError: no answer, or one of another shape.
    """
    tensor = triton_grpc.InferInput("input", [1, tiny_program.NUM_INPUTS], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, tiny_program.NUM_INPUTS), np.float32))
    try:
        with triton_grpc.InferenceServerClient(address) as client:
            shape = client.infer("tiny", [tensor]).as_numpy("output").shape
    except triton_grpc.InferenceServerException as error:
        raise FrontDoorError(f"{name} at {address} does not answer: {error.message()}") from error
    if shape != (1, tiny_program.NUM_OUTPUTS):
        raise FrontDoorError(f"{name} at {address} answered with shape {shape}")
