import json
import shutil
import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from handlers.archive import find_handler, open_handler
from handlers.base import Outputs
from handlers.worker import Worker
from model_store.call_frames import Frame
from model_store.open_inference import messages
from model_store.shared_memory import LARGE_BYTES, append_contents, find_contents, map_file, refer_to
from model_store.tensors import decode_raw, encode_raw

# What TorchServe does with an archive, in an interpreter that has it and the installed libraries, but no checkout.
RUN_ARCHIVE = """
import json, sys
folder, libraries, *absent = sys.argv[1:]
sys.path[:] = [folder] + [path for path in sys.path if "site-packages" not in path] + [libraries]
import entry

class Context:
    system_properties = {"model_dir": folder, "gpu_id": None}
    model_yaml_config = {"minWorkers": 1}
    def get_request_header(self, index, key): return "packed" if key == "url_path" else None
    def set_response_content_type(self, index, value): pass
    def set_response_status(self, code, phrase, index): print("status", code)

context = Context()
assert entry.handle(None, context) is None
import handlers, model_store, numpy, logging
assert handlers.__file__.startswith(folder) and model_store.__file__.startswith(folder), handlers.__file__
for name in ("training", "services", "pydantic", "grpc_tools", "torchvision", "PIL", *absent):
    assert name not in sys.modules, name
assert logging.getLogger().level == logging.WARNING
sys.stdout.buffer.write(entry.handle([{"body": bytearray(sys.stdin.buffer.read())}], context)[0])
"""


def run_archive(folder, request=b"", absent=()):
    command = [sys.executable, "-I", "-S", "-c", RUN_ARCHIVE, str(folder), sysconfig.get_path("purelib"), *absent]
    return subprocess.run(command, input=request, capture_output=True, check=False, cwd=folder)


def pack(array):
    request = messages().ModelInferRequest(model_name="brightness")
    request.inputs.add(name="image", datatype="UINT8", shape=array.shape)
    request.raw_input_contents.append(encode_raw(array))
    return request.SerializeToString()


def test_an_archive_runs_where_no_checkout_is(content):
    done = run_archive(content, pack(np.zeros((2, 8, 6, 3), np.uint8)))
    assert done.returncode == 0, done.stderr.decode()
    answer = messages().ModelInferResponse.FromString(done.stdout)
    assert (answer.model_name, answer.model_version) == ("brightness", "2-eager")
    assert decode_raw(answer.raw_output_contents[1], "BYTES", (2,)).tolist() == [b"dark", b"dark"]


def test_an_onnx_archive_answers_the_same_without_torch(portable_content):
    done = run_archive(portable_content, pack(np.full((2, 8, 6, 3), 250, np.uint8)), absent=["torch"])
    assert done.returncode == 0, done.stderr.decode()
    answer = messages().ModelInferResponse.FromString(done.stdout)
    assert answer.model_version == "2-onnx"
    assert decode_raw(answer.raw_output_contents[1], "BYTES", (2,)).tolist() == [b"bright", b"bright"]


def test_torchserves_own_import_of_torch_waits_until_torch_is_used(portable_content):
    script = (
        "import sys, ts.protocol.otf_message_handler as worker; assert 'torch._C' not in sys.modules;"
        "print(worker.torch.Tensor.__name__); import torch.nn; print(torch.nn.Linear.__name__)"
    )
    environment = {"PYTHONPATH": str(portable_content), "PATH": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["Tensor", "Linear"]


@pytest.mark.parametrize(
    ("archive", "damage", "message"),
    [
        ("portable_content", lambda folder: (folder / "programs/main/program.onnx").unlink(), "program.onnx"),
        ("portable_content", lambda folder: break_import(folder / "handlers/classifier.py"), "nothing_like_it"),
        ("content", lambda folder: retarget(folder, "AVX999"), "built for cpu (AVX999"),
    ],
)
def test_a_failing_start_prints_its_traceback_for_the_supervisor(archive, damage, message, tmp_path, request):
    broken = tmp_path / "broken"
    shutil.copytree(request.getfixturevalue(archive), broken)
    damage(broken)
    done = run_archive(broken)
    assert done.returncode != 0
    lines = [line for line in done.stderr.decode().splitlines() if line.startswith("MILLRACE WORKER FAILED: ")]
    assert lines[0] == "MILLRACE WORKER FAILED: Traceback (most recent call last):"
    assert message in lines[-1]


def break_import(module):
    module.write_text("import nothing_like_it")


def retarget(folder, capability):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["target"]["capability"] = capability
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_handler_that_breaks_answers_an_internal_error(content):
    worker = Worker(open_handler(content, "cpu"))
    answer = messages().ModelInferResponse.FromString(worker.answer_packed(b"no message"))
    assert "Traceback" in answer.parameters["internal_error"].string_param
    assert len(answer.outputs) == 0
    wrong_shape = worker.answer_packed(pack(np.zeros((2, 3), np.uint8)))
    assert b"internal_error" in wrong_shape


class Echo:
    """A handler that answers what came, and a label for each row."""

    manifest = {"model": "echo", "release": 1, "variant": "eager"}  # noqa: RUF012

    def infer(self, inputs, parameters, requested):
        num_rows = len(inputs["x"])
        return Outputs({"y": inputs["x"][::-1], "label": np.array(["a"] * num_rows)}, [None] * (num_rows - 1) + ["bad"])


class Meeting(Echo):
    """A handler whose calls end when several are there at once."""

    def __init__(self, num_calls):
        self._met = threading.Barrier(num_calls, timeout=10)
        self.num_now = self.num_most = 0

    def infer(self, inputs, parameters, requested):
        self.num_now += 1
        self.num_most = max(self.num_most, self.num_now)
        self._met.wait()
        self.num_now -= 1
        return super().infer({"x": inputs["image"]}, parameters, requested)


def test_a_worker_is_at_as_many_calls_at_once_as_it_has_slots_and_not_at_more():
    handler = Meeting(2)
    worker = Worker(handler, num_slots=2)
    images = [np.full((1, 8, 6, 3), level, np.uint8) for level in range(4)]
    with ThreadPoolExecutor(4) as threads:
        answers = list(
            threads.map(lambda image: worker.answer_frame(Frame.CALL, 0, bytearray(pack(image)), None), images)
        )
    levels = [messages().ModelInferResponse.FromString(answer).raw_output_contents[0][0] for answer in answers]
    assert (levels, handler.num_most) == ([0, 1, 2, 3], 2)


def share(folder, array):
    """Put a request for the echo into a file, as the gateway does."""
    request = messages().ModelInferRequest(model_name="echo")
    tensor = request.inputs.add(name="x", datatype="FP32", shape=array.shape)
    with (folder / "call-1").open("w+b", buffering=0) as file:
        file.write(b"what stands before")
        (place,) = append_contents(file.fileno(), [[encode_raw(array[:1]), encode_raw(array[1:])]])
        refer_to(tensor, "call-1", place)
    return request.SerializeToString()


def read_shared(folder, answer):
    response = messages().ModelInferResponse.FromString(answer)
    with (folder / "call-1").open("rb") as file:
        memory = map_file(file.fileno())
    return {
        output.name: decode_raw(find_contents(output, memory), output.datatype, tuple(output.shape))
        for output in response.outputs
    }


def test_large_tensors_come_and_go_in_the_calls_shared_memory(tmp_path):
    array = np.arange(LARGE_BYTES // 2, dtype=np.float32).reshape(2, -1)
    outputs = read_shared(tmp_path, Worker(Echo(), shared_folder=str(tmp_path)).answer_packed(share(tmp_path, array)))
    np.testing.assert_array_equal(outputs["y"], array[::-1])
    assert outputs["label"].tolist() == [b"a", b"a"]
    assert outputs["row_errors"].tolist() == [b"", b"bad"]


def test_small_outputs_of_large_inputs_go_in_the_message(tmp_path):
    request = share(tmp_path, np.ones((2, 3), np.float32))
    answer = messages().ModelInferResponse.FromString(
        Worker(Echo(), shared_folder=str(tmp_path)).answer_packed(request)
    )
    assert decode_raw(answer.raw_output_contents[0], "FP32", (2, 3)).tolist() == [[1, 1, 1]] * 2


@pytest.mark.parametrize("region", ["absent", "../call-1", ""])
def test_shared_memory_that_is_not_the_gateways_is_an_error_in_the_answer(tmp_path, region):
    request = messages().ModelInferRequest.FromString(share(tmp_path, np.ones((2, 3), np.float32)))
    refer_to(request.inputs[0], region, (0, 24))
    (tmp_path / "inner").mkdir()
    worker = Worker(Echo(), shared_folder=str(tmp_path / "inner"))
    answer = messages().ModelInferResponse.FromString(worker.answer_packed(request.SerializeToString()))
    assert "Error" in answer.parameters["internal_error"].string_param


def test_direct_calls_are_told_apart_from_packed_ones(content):
    class Context:
        status = None

        def get_request_header(self, index, key):
            return None

        def set_response_content_type(self, index, value):
            self.content_type = value

        def set_response_status(self, code, phrase, index):
            self.status = code

    worker, context = Worker(open_handler(content, "cpu")), Context()
    assert "label" in json.loads(worker.answer({"body": {"image": np.zeros((8, 6, 3)).tolist()}}, 0, context))
    assert context.status is None
    assert "error" in json.loads(worker.answer({"body": b"{"}, 0, context))
    assert (context.status, context.content_type) == (400, "application/json")
    packed = worker.answer({"request": bytearray(pack(np.zeros((1, 8, 6, 3), np.uint8)))}, 0, context)
    assert messages().ModelInferResponse.FromString(packed).model_name == "brightness"


def test_finds_handlers_by_their_module():
    assert find_handler("tensor").__name__ == "TensorHandler"
    with pytest.raises(ValueError, match=r"no module handlers/nothing\.py"):
        find_handler("nothing")
    with pytest.raises(ValueError, match="exactly one Handler, it defines 0"):
        find_handler("message")
