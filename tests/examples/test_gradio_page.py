"""The example is what it says: what Gradio is given answers with the client's scores.

Gradio itself is not installed with the project; where it is missing, something of its shape takes its place.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from services.client import Classification, Score

EXAMPLE = Path(__file__).parents[2] / "examples" / "gradio_page.py"


class KnowingClient:
    def classify(self, path, *, top, model):
        assert (path, top, model) == ("seven.png", 5, "digits")
        return [Classification((Score("7", 0.9), Score("1", 0.1)), "1-int8")]


@pytest.fixture
def example(monkeypatch):
    if importlib.util.find_spec("gradio") is None:
        stand_in = ModuleType("gradio")
        stand_in.Interface = lambda fn, *parts, **options: SimpleNamespace(fn=fn, parts=parts, **options)
        stand_in.Image = stand_in.Label = lambda **options: options
        monkeypatch.setitem(sys.modules, "gradio", stand_in)
    spec = importlib.util.spec_from_file_location("gradio_page", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_page_answers_with_the_clients_scores(example):
    page = example.make_page(KnowingClient(), "digits")
    assert page.fn("seven.png") == {"7": 0.9, "1": 0.1}
    assert page.title == "digits"


def test_it_stays_as_short_as_it_says():
    lines = EXAMPLE.read_text().rpartition('"""')[2].splitlines()
    assert len([line for line in lines if line.strip()]) <= 20
