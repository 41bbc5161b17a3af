import pytest

from loadtests.bench import int8
from loadtests.bench.int8 import compare_int8, find_bar


def test_more_is_promised_where_the_cpu_adds_products_of_8_bits():
    assert (find_bar(("AVX2", "AVX-512 VNNI")), find_bar(("AVX2",))) == (4.5, 3.0)


@pytest.mark.parametrize(
    ("rows_per_s", "single_ms", "reached"), [(500, 0.3, True), (440, 0.3, False), (500, 0.4, False)]
)
def test_both_bars_have_to_be_reached_by_the_variant_that_is_asked_for(
    rows_per_s, single_ms, reached, store, monkeypatch, capsys
):
    figures = {"eager": (100.0, 1.0), "int8": (rows_per_s, single_ms)}
    monkeypatch.setattr(int8, "name_features", lambda: ("AVX2", "AVX-512 VNNI"))
    for place, name in enumerate(("measure_rows_per_s", "measure_single_ms")):
        monkeypatch.setattr(
            int8, name, lambda subject, url, seconds, place=place: figures[subject.manifest.variant][place]
        )
    console = int8.Console()
    arguments = {"variant": "int8", "test_data": None, "repeats": 1, "measure_s": 1.0, "console": console}
    assert compare_int8(store.open("double", 1), "localhost:1", **arguments) is reached
    assert "p50 of one caller" in capsys.readouterr().out
