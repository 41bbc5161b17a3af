from training.seq2seq.benchmark import compare_neighbours, measure_engines
from training.seq2seq.bleu import Bleu

PAIRS = [(f"a b c d {number}", f"A B C D {number}") for number in range(5)]


def capitalize(texts):
    return [text.upper() for text in texts]


def stumble_in_company(texts):
    return [text.upper() if len(texts) == 1 or "3" not in text else "NO" for text in texts]


def test_translations_that_depend_on_their_neighbours_are_counted():
    table = compare_neighbours(
        {"steady": capitalize, "unsteady": stumble_in_company}, PAIRS, rows=2, measure=Bleu(lowercase=False)
    )
    steady, unsteady = (line.split() for line in table.splitlines()[1:])
    assert steady == ["steady", "0/5", "100.00", "100.00"]
    assert unsteady[1] == "1/5"
    assert float(unsteady[2]) < float(unsteady[3]) == 100


def test_the_table_has_every_engine_with_its_quality():
    table = measure_engines(
        {"eager": capitalize, "peer": stumble_in_company}, PAIRS, rows=2, repeats=2, measure=Bleu(lowercase=False)
    )
    eager, peer = (line.split() for line in table.splitlines()[1:])
    assert (eager[0], eager[3], eager[-1]) == ("eager", "1.00", "100.00")
    assert (peer[0], peer[4]) == ("peer", "1.00")
    assert float(peer[-1]) < 100
