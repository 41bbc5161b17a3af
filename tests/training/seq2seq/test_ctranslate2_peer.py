import dataclasses

import numpy as np
import pytest
import torch

from handlers.beam_search import Beams, SearchOptions, search
from handlers.device import Cpu
from handlers.program import wrap_tensors
from training.seq2seq.ctranslate2_peer import save_for_ctranslate2
from training.seq2seq.network import build_network
from training.seq2seq.program import DecoderProgram, EncoderProgram
from training.sequences.vocabulary import END


@pytest.mark.parametrize("pre_norm", [False, True])
def test_the_peer_finds_the_same_translations_with_the_same_weights(tiny_recipe, tmp_path, pre_norm):
    ctranslate2 = pytest.importorskip("ctranslate2")
    torch.manual_seed(0)
    network = build_network(dataclasses.replace(tiny_recipe, pre_norm=pre_norm), 300).eval().requires_grad_(False)
    names = ["<pad>", "<unk>", "<s>", "</s>", *(f"piece{number}" for number in range(4, 300))]
    save_for_ctranslate2(network, names, tmp_path / "peer", quantization="float32")
    rows = [[7, 9, 200, END], [50, 60, 70, END]]
    encoder, decoder = EncoderProgram(network), DecoderProgram(network, 300, 4)
    programs = [
        wrap_tensors(lambda tensors, program=program: program(*tensors), Cpu()) for program in (encoder, decoder)
    ]
    found = search(
        Beams(*programs, Cpu(), 1),
        np.array(rows),
        np.array([6, 6]),
        [SearchOptions(beam_size=1)] * 2,
    )
    peer = ctranslate2.Translator(str(tmp_path / "peer"), compute_type="float32", intra_threads=1)
    results = peer.translate_batch(
        [[names[piece] for piece in row] for row in rows],
        beam_size=1,
        max_decoding_length=6,
        suppress_sequences=[["<pad>"], ["<s>"]],
        disable_unk=True,
    )
    assert [result.hypotheses[0] for result in results] == [[names[piece] for piece in row[0].pieces] for row in found]
