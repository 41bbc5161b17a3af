"""Words that are left out of a prompt, before a writer of whom one knows what it rests on."""

import numpy as np
import pytest

from handlers.ablation import MAX_WORDS, leave_words_out
from handlers.base import Outputs, RowError
from handlers.explain import OwnReasons, PromptReasons, find_reasons


class Writer:
    """Writes "!", which each word `yes` of the prompt makes likelier by 2, and each `no` less likely by 1."""

    input_names = ("prompt", "continuation")
    output_names = ("text", "score")

    def infer(self, inputs, parameters, requested=()):
        prompts = inputs["prompt"]
        texts = inputs.get("continuation", np.array([b"!"] * len(prompts), np.object_))
        errors = ["the prompt is too long" if len(prompt) > 2000 else None for prompt in prompts]
        scores = [
            2 * prompt.count(b"yes") - prompt.count(b"no") - len(text)
            for prompt, text in zip(prompts, texts, strict=True)
        ]
        arrays = {"text": texts, "score": np.array(scores, np.float32)}
        return Outputs({name: arrays[name] for name in requested}, errors)


def test_a_word_counts_how_much_likelier_it_made_what_was_written():
    found = leave_words_out(Writer(), b"yes, no   or maybe", None)
    assert found["pieces"].tolist() == [[b"yes,", b" no", b"   or", b" maybe"]]
    assert found["attribution"].tolist() == [[2, -1, 0, 0]]
    assert (found["text"][0], found["score"].tolist()) == (b"!", [0])


def test_of_a_long_prompt_the_last_words_are_left_out_one_by_one():
    prompt = b"no " * 50 + b"yes " * MAX_WORDS
    found = leave_words_out(Writer(), prompt, b"?!")
    assert found["attribution"].tolist() == [[2] * MAX_WORDS]
    assert found["score"].tolist() == [2 * MAX_WORDS - 50 - 2]


@pytest.mark.parametrize(
    ("prompt", "why"), [(b" ", "the text is empty"), (b"\xff", "no UTF-8"), (b"x" * 2001, "too long")]
)
def test_what_cannot_be_written_on_is_refused(prompt, why):
    with pytest.raises(RowError, match=why):
        leave_words_out(Writer(), prompt, None)


def test_rows_of_any_length_come_together_and_a_wrong_one_alone_fails():
    reasons = find_reasons(Writer(), None)
    assert isinstance(reasons, PromptReasons)
    prompts = np.array([b"yes no", b"", b"yes"], np.object_)
    found = reasons.explain({"prompt": prompts}, {})
    assert found.arrays["pieces"].tolist() == [[b"yes", b" no"], [b"", b""], [b"yes", b""]]
    assert found.arrays["attribution"].tolist() == [[2, -1], [0, 0], [2, 0]]
    assert [bool(error) for error in found.row_errors] == [False, True, False]


def test_who_tells_what_it_looked_at_answers_itself_with_all_it_has():
    class Translator(Writer):
        output_names = ("text", "alignment")

        def infer(self, inputs, parameters, requested=()):
            return Outputs(dict.fromkeys(requested, inputs["text"]))

    reasons = find_reasons(Translator(), None)
    assert isinstance(reasons, OwnReasons)
    assert list(reasons.explain({"text": np.array([b"a"], np.object_)}, {}).arrays) == ["text", "alignment"]
