"""What is replayed and when, with a recorder that runs the program again in place of a GPU's graph."""

import pytest
import torch

from handlers.cuda_graphs import MOST_ROWS, GraphedProgram


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
