import random

import pytest
import torch

from training.seq2seq.batches import TokenBatches
from training.sequences.vocabulary import BEGIN, END, PAD


@pytest.fixture
def sentences():
    generator = random.Random(0)
    return [[*range(4, 4 + generator.randint(1, 30)), END] for _ in range(300)]


def make(sentences, seed=1, tokens=128):
    return TokenBatches(sentences, sentences, tokens_per_batch=tokens, seed=seed, device=torch.device("cpu"))


def test_no_batch_is_above_the_bound_and_every_sentence_is_in_each_epoch(sentences):
    batches = make(sentences)
    for epoch in range(2):
        drawn = [batches.at(epoch * batches.steps_per_epoch + step) for step in range(batches.steps_per_epoch)]
        assert max(batch.source.numel() for batch in drawn) <= 128
        found = sorted(tuple(row[row != PAD].tolist()) for batch in drawn for row in batch.source)
        assert found == sorted(map(tuple, sentences))


def test_targets_are_shifted_by_one(sentences):
    batch = make(sentences).at(0)
    assert (batch.target_in[:, 0] == BEGIN).all()
    written = batch.target_out[:, 1:] != PAD
    assert torch.equal(batch.target_in[:, 1:][written], batch.target_out[:, :-1][written])


def test_epochs_differ_and_a_step_is_the_same_again_after_a_resume(sentences):
    batches = make(sentences)
    steps = batches.steps_per_epoch
    assert any(not torch.equal(batches.at(step).source, batches.at(steps + step).source) for step in range(3))
    torch.testing.assert_close(make(sentences).at(steps + 2).source, batches.at(steps + 2).source, atol=0, rtol=0)
    assert not torch.equal(make(sentences, seed=2).at(0).target_out, batches.at(0).target_out)


def test_a_sentence_longer_than_a_batch_is_refused(sentences):
    with pytest.raises(ValueError, match="more than tokens_per_batch=16"):
        make(sentences, tokens=16)
