"""The card says what manifest and evaluation say, and what they do not."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from model_store.cli import app
from model_store.model_card import list_limits, write_card
from model_store.signing import Keyring
from model_store.store import Store
from tests.builders import make_manifest, publish_release

TRAINING = {
    "command": "train classifier",
    "data": "digits",
    "preset": "demo",
    "seed": 1,
    "data_findings": ["2 images are of a single colour"],
}
EVALUATION = {
    "accuracy": 0.98765,
    "accuracy_interval": [0.97, 0.99],
    "n": 540,
    "classes": {"a|b": {"recall": 1.0, "n": 40}, "c": {"recall": 0.5, "n": 57}},
    "confusion_matrix": [[1, 2]],
    "robustness": [{"bound": 0.5, "fgsm": 0.25}, {"bound": 1.0, "fgsm": 0.125}],
    "by_group": {"ink": {"worst": "thin", "groups": {"thin": {"accuracy": 0.75}, "bold": {"accuracy": 1.0}}}},
}
BASELINE = {"name": "the most frequent class", "value": 0.1, "difference": 0.83, "interval": (0.81, 0.85)}


def describe(**quality):
    known = make_manifest().quality.model_dump()
    return make_manifest(variant="int8", quality=known | {"baseline": BASELINE} | quality)


def test_a_card_holds_origin_figures_and_groups():
    card = write_card(describe(), TRAINING, EVALUATION)
    assert card.startswith("# Model card: net 1-int8\n\na net\n")
    for line in (
        "| trained | by `train classifier` |",
        "Trained on digits, preset demo, seed 1.",
        "Judged by the gate on 2000 rows of digits test (sha256 0000000000000000…).",
        "| accuracy | 0.9300 (0.9200 … 0.9400, 95 %) |",
        "| learned | beats the most frequent class (0.1000) by +0.8300 (+0.8100 … +0.8500) |",
        "| accuracy | 0.9877 (0.97 … 0.99) |",
        "| a\\|b | 1 | 40 |",
        "| c | 0.5 | 57 |",
        "| 1 | 1 | 0.125 |",
        "- Its data: 2 images are of a single colour.",
        "by_group / ink:",
        "| worst | thin |",
        "by_group / ink / groups:",
        "| thin | 0.75 |",
        "- takes `x` FP32 [-1, 4]: numbers",
    ):
        assert line in card.splitlines()
    assert "confusion_matrix" not in card


def test_a_card_says_what_a_private_training_has_spent():
    line = "Trained with differential privacy: for each of its 1100 training rows ε = 2.99 at δ = 1e-05."
    private = {"privacy": {"epsilon": 2.9876, "delta": 1e-5, "rows": 1100}}
    assert line in write_card(describe(), TRAINING, EVALUATION | private)
    assert "privacy" not in write_card(describe(), TRAINING, EVALUATION)


@pytest.mark.parametrize(
    ("manifest", "limit"),
    [
        (describe(), "Whether it serves some groups of rows worse than others was not measured."),
        (describe(baseline=None), "Nobody checked whether it has learned anything: there is no baseline."),
        (
            describe(baseline=BASELINE | {"interval": (-0.1, 0.9)}),
            "It was not shown to beat what takes no learning, and was released all the same.",
        ),
        (
            make_manifest(gate={"rule": "r", "passed": False, "why": "worse"}),
            "It failed the gate and is not served.",
        ),
        (
            make_manifest(target={"device": "cpu", "capability": "AVX2", "torch_version": "2.13.0"}),
            "Its program needs AVX2 and is refused elsewhere.",
        ),
    ],
)
def test_limits_are_told(manifest, limit):
    assert limit in list(list_limits(manifest, {}, {}))


def test_the_store_prints_the_card_of_any_release(tmp_path, monkeypatch):
    monkeypatch.setenv("MILLRACE_KEYS", str(tmp_path / "keys"))
    store = Store(tmp_path / "store", Keyring(tmp_path / "keys"))
    publish_release(store, evidence={"training.json": json.dumps(TRAINING).encode()})
    publish_release(store, "own")
    cards = [CliRunner().invoke(app, ["card", name, "--store", str(store.root)]) for name in ("net/1-eager", "own")]
    assert [card.exit_code for card in cards] == [0, 0]
    assert "# Model card: net 1-eager" in cards[0].output
    assert "| trained | by `train classifier` |" in cards[0].output
    assert "| trained | not here: a program of one's own |" in cards[1].output
