import torch

from training.seq2seq.program import DecoderProgram
from training.sequences.ranking import rank_pieces
from training.sequences.vocabulary import BEGIN, PAD, UNKNOWN


def test_the_likeliest_are_those_of_topk_whatever_the_size():
    for size in (5, 64, 200, 1000):
        logits = torch.randn(3, 2, size, generator=torch.Generator().manual_seed(size))
        values, index = rank_pieces(logits, 5)
        expected = logits.log_softmax(-1).topk(5)
        torch.testing.assert_close(values, expected.values)
        assert torch.equal(logits.gather(-1, index), logits.topk(5).values)


def test_groups_of_forbidden_pieces_do_no_harm():
    logits = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
    logits[:, 64:192] = -torch.inf
    values, index = rank_pieces(logits, 7)
    torch.testing.assert_close(values, logits.log_softmax(-1).topk(7).values)
    assert not ((index >= 64) & (index < 192)).any()


def test_candidates_are_log_probabilities_of_pieces_that_may_be_written(tiny_network):
    memory, bias, first = tiny_network.start(torch.randint(4, 300, (2, 6)))
    tokens, ancestors = torch.full((2, 1), BEGIN), torch.zeros(1, 2, 1, dtype=torch.int64)
    program = DecoderProgram(tiny_network, 300, 297).eval()
    starts = torch.zeros(2, dtype=torch.int64)
    values, pieces, entry, weights = program(tokens, ancestors, starts, first[None, :, :, None], memory, bias)
    torch.testing.assert_close(values.exp().sum(-1), torch.ones(2, 1))
    assert not set(pieces.flatten().tolist()) & {PAD, UNKNOWN, BEGIN}
    assert (values.diff(dim=-1) <= 0).all()
    assert (entry.shape, weights.shape) == ((2, 2, 1, 32), (2, 1, 6))
