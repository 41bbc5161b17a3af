import torch

from training.seq2seq.decoding import DecoderProgram, find_largest
from training.seq2seq.vocabulary import BEGIN, PAD, UNKNOWN


def test_the_largest_are_those_of_topk_whatever_the_size():
    for size in (5, 64, 200, 1000):
        values = torch.randn(3, 2, size, generator=torch.Generator().manual_seed(size))
        top, index = find_largest(values, 5)
        expected = values.topk(5)
        assert torch.equal(top, expected.values)
        assert torch.equal(values.gather(-1, index), expected.values)


def test_candidates_are_log_probabilities_of_pieces_that_may_be_written(tiny_network):
    memory, bias, first = tiny_network.start(torch.randint(4, 300, (2, 6)))
    tokens, ancestors = torch.full((2, 1), BEGIN), torch.zeros(1, 2, 1, dtype=torch.int64)
    program = DecoderProgram(tiny_network, 300, 297).eval()
    values, pieces, entry, weights = program(tokens, ancestors, first[None, :, :, None], memory, bias)
    torch.testing.assert_close(values.exp().sum(-1), torch.ones(2, 1))
    assert not set(pieces.flatten().tolist()) & {PAD, UNKNOWN, BEGIN}
    assert (values.diff(dim=-1) <= 0).all()
    assert (entry.shape, weights.shape) == ((2, 2, 1, 32), (2, 1, 6))
