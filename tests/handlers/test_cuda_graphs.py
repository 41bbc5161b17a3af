"""What is replayed and when, with a recorder that runs the program again in place of a GPU's graph."""

import contextlib
from types import SimpleNamespace

import pytest
import torch

from handlers.cuda_graphs import MOST_ROWS, GraphedProgram, record_cuda_graph


class Recorder:
    """Record as CUDA does: outputs stay in their place, and a replay fills them from the inputs' places."""

    def __init__(self):
        self.recorded, self.replayed = [], 0

    def __call__(self, run, inputs):
        outputs = [output.clone() for output in run(inputs)]
        self.recorded.append(tuple(inputs[0].shape))

        def replay():
            self.replayed += 1
            for place, output in zip(outputs, run(inputs), strict=True):
                place.copy_(output)

        return replay, outputs


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def program(recorder):
    return GraphedProgram(lambda inputs: [2 * inputs[0], inputs[0].sum(1)], recorder)


def test_shapes_that_come_again_are_replayed_with_what_came(program, recorder):
    answers = []
    for number in range(6):
        x = torch.full((2, 3), float(number))
        doubled, summed = program([x])
        answers.append(doubled)
        assert summed.tolist() == [3.0 * number] * 2
    assert (recorder.recorded, recorder.replayed) == ([(2, 3)], 3)
    # What was answered before is not written over by later answers.
    assert [float(answer[0, 0]) for answer in answers] == [0, 2, 4, 6, 8, 10]


def test_each_shape_and_type_has_a_graph_of_its_own(program, recorder):
    for x in (torch.ones(1, 3), torch.ones(2, 3), torch.ones(2, 3, dtype=torch.float64)):
        for _ in range(5):
            assert program([x])[0].dtype == x.dtype
    assert recorder.recorded == [(1, 3), (2, 3), (2, 3)]


def test_many_rows_and_shapes_that_come_once_are_not_recorded(program, recorder):
    for _ in range(9):
        program([torch.ones(MOST_ROWS + 1, 3)])
    for width in range(1, 40):
        program([torch.ones(2, width)])
    assert recorder.recorded == []


def test_graphs_are_few_because_each_keeps_memory(program, recorder):
    for width in range(1, 12):
        for _ in range(5):
            assert program([torch.ones(1, width)])[1].tolist() == [width]
    assert len(recorder.recorded) == 8


def test_a_program_that_cannot_be_recorded_is_run_as_ever_and_tried_once(recorder, caplog):
    tried = []

    def refuse(run, inputs):
        tried.append(len(inputs[0]))
        raise RuntimeError("operation not permitted when stream is capturing")

    program = GraphedProgram(lambda inputs: [2 * inputs[0]], refuse)
    for num_rows in (1, 2):
        for number in range(9):
            assert program([torch.full((num_rows, 1), float(number))])[0].tolist() == [[2.0 * number]] * num_rows
    assert tried == [1]
    assert "it cannot be recorded: operation not permitted when stream is capturing" in caplog.text


class PretendedCuda:
    """Stands in for `torch.cuda`, and keeps what is current: recording ends as torch's does, cleanly or not."""

    def __init__(self):
        self.current_device, self.streams = "cuda:0", {"cuda:0": "default 0", "cuda:1": "default 1"}

    @contextlib.contextmanager
    def device(self, name):
        before, self.current_device = self.current_device, name
        try:
            yield
        finally:
            self.current_device = before

    def current_stream(self, device):
        return self.streams[device]

    def set_stream(self, stream):
        self.streams[self.current_device] = stream

    def Stream(self, device):  # noqa: N802 - torch's name
        return f"new on {device}"

    def CUDAGraph(self):  # noqa: N802 - torch's name
        return SimpleNamespace(replay=lambda: None)

    @contextlib.contextmanager
    def graph(self, graph, stream):
        before = self.streams[self.current_device]
        self.set_stream(stream)
        yield  # where the program fails the stream stays
        self.set_stream(before)


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_launched_on_the_inputs_own_device_is_recorded_and_nothing_stays_changed(monkeypatch, fails):
    cuda, seen = PretendedCuda(), []
    monkeypatch.setattr(torch, "cuda", cuda)

    def run(inputs):
        seen.append((cuda.current_device, cuda.streams[cuda.current_device]))
        if fails:
            raise RuntimeError("not permitted")
        return inputs

    inputs = [SimpleNamespace(device="cuda:1")]
    with pytest.raises(RuntimeError, match="not permitted") if fails else contextlib.nullcontext():
        assert record_cuda_graph(run, inputs)[1] == inputs
    assert seen == [("cuda:1", "new on cuda:1")]
    assert (cuda.current_device, cuda.streams) == ("cuda:0", {"cuda:0": "default 0", "cuda:1": "default 1"})
