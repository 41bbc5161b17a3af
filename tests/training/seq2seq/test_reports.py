import random
import re

import pytest

from training.seq2seq import reports
from training.seq2seq.baselines import take_first_sentences
from training.seq2seq.reports import Report, compose_reports
from training.seq2seq.rouge import Rouge

COUNTS = {"train": 1500, "validation": 100, "test": 300}


@pytest.fixture(scope="module")
def parts():
    return compose_reports(COUNTS, 1)


def test_no_summary_or_document_of_a_held_out_part_trains(parts):
    assert {part: len(pairs) for part, pairs in parts.items()} == COUNTS
    documents, summaries = ({side for side, _ in parts["train"]}, {side for _, side in parts["train"]})
    for document, summary in parts["test"] + parts["validation"]:
        assert document not in documents
        assert summary not in summaries


def test_facts_joined_in_a_test_summary_are_joined_in_no_training_summary():
    draw = random.Random(0)
    found = [maker(draw) for maker in reports._MAKERS for _ in range(400)]
    joined = {part: {report.joined for report in found if report.part == part} for part in COUNTS}
    assert not joined["test"] & joined["train"]
    facts = {fact for pair in joined["train"] for fact in pair}
    assert all(fact in facts for pair in joined["test"] for fact in pair)


def test_the_first_sentences_are_no_summary(parts):
    documents, summaries = zip(*parts["test"], strict=True)
    for count in (1, 2):
        leads = [take_first_sentences(document, count) for document in documents]
        assert 10 < Rouge().aggregate(Rouge().count(leads, summaries)) < 35


def test_a_match_is_won_by_who_scored_more(parts):
    matches = [pair for pair in parts["train"] if " beat " in pair[1]]
    assert len(matches) > 100
    for document, summary in matches:
        winner, loser, most, least, last = re.fullmatch(
            r"(\w+) beat (\w+) (\d) to (\d), (\w+) scored last\.", summary
        ).groups()
        goals = re.findall(r"(\w+) scored for (\w+)|minutes (\w+) hit for (\w+)", document)
        scored = [(town or other, player or name) for player, town, name, other in goals]
        assert [sum(town == side for town, _ in scored) for side in (winner, loser)] == [int(most), int(least)]
        assert [player for town, player in scored if town == winner][-1] == last


def test_only_what_is_dangerous_is_warned_of(parts):
    warnings = [pair for pair in parts["train"] if pair[1].startswith("Warning of storm")]
    assert warnings
    for document, summary in warnings:
        region = re.search(r" in (the \w+) on", summary).group(1)
        speeds = dict(re.findall(r"(the \w+) (?:expect|we see) winds of (\d+)", document))
        assert {place for place, speed in speeds.items() if int(speed) >= 90} == {region}


def test_parts_are_about_a_tenth_each():
    parts = [Report("", "", (str(first), str(second))).part for first in range(50) for second in range(50)]
    assert 0.07 < parts.count("test") / len(parts) < 0.13
    assert 0.07 < parts.count("validation") / len(parts) < 0.13
