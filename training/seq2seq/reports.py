"""Reports of several sentences and their summaries, made by a grammar: what counts stands anywhere, never in one place.

A match's summary names its winner, whom a score alone tells, and who scored last for it; a forecast's the one region
whose figures are dangerous among others whose are not; a notice's where and when something takes place now, not where
it was planned; a council's the one motion of several that was adopted.

Each summary joins two facts, as winner and loser. A held-out pair is never joined in a training summary, though
each fact alone is.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Part = Literal["train", "validation", "test"]

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TOWNS = (
    *("Ashford", "Barrow", "Carlow", "Dunmore", "Elgin", "Falmouth", "Galway", "Harrow", "Ilkley", "Kendal", "Lerwick"),
    *("Melrose", "Newry", "Oban", "Penrith", "Ripon", "Selby", "Truro", "Ullapool", "Ventnor", "Whitby", "Yarmouth"),
)
_PLAYERS = (
    *(
        "Adler",
        "Birch",
        "Cole",
        "Drake",
        "Ember",
        "Finch",
        "Grant",
        "Holt",
        "Irwin",
        "Jarvis",
        "Keane",
        "Lowe",
        "Marsh",
    ),
    *("Nolan", "Orton", "Price", "Quill", "Rhodes", "Shaw", "Thorne", "Underhill", "Vance", "Wells", "York"),
)
_REGIONS = (
    *("the north", "the south", "the east", "the west", "the highlands", "the islands", "the coast", "the valleys"),
    *("the lakes", "the marshes", "the moors", "the plains", "the hills", "the capital", "the borders", "the forest"),
    *("the estuary", "the uplands", "the suburbs", "the peninsula", "the plateau", "the delta", "the ridge", "the bay"),
)
# What is dangerous, what it is called, and what of the same kind is not.
_HAZARDS: Mapping[str, tuple[str, range, range]] = {
    "storm": ("winds of {} kilometres an hour", range(90, 130), range(5, 35)),
    "floods": ("{} millimetres of rain", range(60, 100), range(1, 12)),
    "heat": ("up to {} degrees", range(37, 43), range(12, 27)),
    "snow": ("{} centimetres of snow", range(30, 60), range(1, 4)),
}
_EVENTS = (
    "concert",
    "market",
    "parade",
    "lecture",
    "play",
    "race",
    "exhibition",
    "auction",
    "festival",
    "debate",
    "ball",
    "quiz",
)
_PLACES = (
    *("town hall", "old mill", "library", "school", "castle", "harbour", "museum", "station", "park", "church"),
    *("theatre", "stadium", "barn", "college", "abbey", "arena"),
)
_REASONS = ("a burst pipe", "a power cut", "building work", "bad weather", "an illness", "a strike", "too few helpers")
_MOTIONS = (
    *(
        "a new bridge",
        "a cycle path",
        "free buses",
        "a higher tax",
        "more street lights",
        "a skate park",
        "a night bus",
    ),
    *("a second school", "cheaper parking", "a car ban", "a food bank", "a new library", "solar roofs", "a youth club"),
)


@dataclass(frozen=True)
class Report:
    """A document, its summary, and the two facts that the summary joins."""

    document: str
    summary: str
    joined: tuple[str, str]

    @property
    def part(self) -> Part:
        """A tenth of all pairs of facts is for the test, another for validation."""
        share = zlib.crc32(" ".join(self.joined).encode()) % 10
        return "test" if share == 0 else "validation" if share == 1 else "train"


def compose_reports(counts: Mapping[Part, int], seed: int) -> dict[Part, list[tuple[str, str]]]:
    """Make so many pairs of document and summary of each part; no document occurs twice."""
    draw = random.Random(seed)
    found: dict[Part, dict[str, str]] = {part: {} for part in counts}
    while any(len(found[part]) < count for part, count in counts.items()):
        report = draw.choice(_MAKERS)(draw)
        if len(found[report.part]) < counts[report.part]:
            found[report.part][report.document] = report.summary
    return {part: list(pairs.items()) for part, pairs in found.items()}


def _report_match(draw: random.Random) -> Report:
    home, away = draw.sample(_TOWNS, 2)
    scorers = [(draw.choice((home, away)), draw.choice(_PLAYERS)) for _ in range(draw.randint(1, 4))]
    minutes = sorted(draw.sample(range(2, 90), len(scorers)))
    goals = [
        draw.choice(
            ("{player} scored for {town} after {minute} minutes.", "After {minute} minutes {player} hit for {town}.")
        ).format(player=player, town=town, minute=minute)
        for (town, player), minute in zip(scorers, minutes, strict=True)
    ]
    score = [sum(town == side for town, _ in scorers) for side in (home, away)]
    opening = [f"{home} met {away} on {draw.choice(_DAYS)}.", f"{draw.randrange(2, 40)} hundred people came."]
    aside = (
        f"{draw.choice(_PLAYERS)} of {draw.choice((home, away))} {draw.choice(('missed a penalty', 'was sent off'))}."
    )
    end = f"It ended {score[0]} to {score[1]}."
    document = " ".join([*_shuffle(draw, opening), *_insert(draw, aside, goals), end])
    if score[0] == score[1]:
        return Report(document, f"{home} and {away} draw {score[0]} to {score[1]}.", (home, away))
    winner, loser = (home, away) if score[0] > score[1] else (away, home)
    last = [player for town, player in scorers if town == winner][-1]
    return Report(document, f"{winner} beat {loser} {max(score)} to {min(score)}, {last} scored last.", (winner, loser))


def _report_forecast(draw: random.Random) -> Report:
    hazard = draw.choice(list(_HAZARDS))
    first, *others = draw.sample(_REGIONS, draw.randint(3, 4))
    day = draw.choice(_DAYS)
    words, dangerous, _ = _HAZARDS[hazard]
    sentences = [_expect(draw, first, words.format(draw.choice(dangerous)))]
    for region in others:
        words, _, harmless = _HAZARDS[draw.choice(list(_HAZARDS))]
        sentences.append(_expect(draw, region, words.format(draw.choice(harmless))))
    opening = draw.choice(
        (f"This is the forecast for {day}.", f"The weather on {day} will differ from place to place.")
    )
    return Report(
        " ".join([opening, *_shuffle(draw, sentences)]), f"Warning of {hazard} in {first} on {day}.", (hazard, first)
    )


def _expect(draw: random.Random, region: str, weather: str) -> str:
    sentence = draw.choice(("In {region} expect {weather}.", "For {region} we see {weather}."))
    return sentence.format(region=region, weather=weather)


def _report_notice(draw: random.Random) -> Report:
    (event, other), (planned, place, elsewhere) = draw.sample(_EVENTS, 2), draw.sample(_PLACES, 3)
    (first, second, third), reason = draw.sample(_DAYS, 3), draw.choice(_REASONS)
    plan = f"The {event} was planned for {first} in the {planned}."
    asides = [f"Tickets cost {draw.randrange(2, 30)} euros.", f"The {other} on {third} in the {elsewhere} goes ahead."]
    if draw.random() < 0.3:
        change = f"Because of {reason} it will not take place."
        return Report(
            " ".join(_shuffle(draw, [f"{plan} {change}", *asides])),
            f"{reason.capitalize()} ends the {event}.",
            (event, reason),
        )
    change = f"Because of {reason} it takes place on {second} in the {place}."
    document = " ".join(_shuffle(draw, [f"{plan} {change}", *asides]))
    return Report(document, f"The {event} moves to the {place} on {second}.", (event, place))


def _report_council(draw: random.Random) -> Report:
    town, (adopted, *others) = draw.choice(_TOWNS), draw.sample(_MOTIONS, 3)
    votes = [sorted(draw.sample(range(3, 30), 2)) for _ in range(3)]
    refused = [
        draw.choice(
            (f"It refused {motion} by {more} votes to {fewer}.", f"It put off {motion} until {draw.choice(_DAYS)}.")
        )
        for motion, (fewer, more) in zip(others, votes[1:], strict=True)
    ]
    fewer, more = votes[0]
    sentences = _insert(draw, f"It adopted {adopted} by {more} votes to {fewer}.", refused)
    opening = f"The council of {town} sat for {draw.randrange(2, 9)} hours."
    return Report(
        " ".join([opening, *sentences]), f"{town} gets {adopted} by {more} votes to {fewer}.", (town, adopted)
    )


def _shuffle(draw: random.Random, sentences: Sequence[str]) -> list[str]:
    return draw.sample(sentences, len(sentences))


def _insert(draw: random.Random, sentence: str, others: Sequence[str]) -> list[str]:
    place = draw.randint(0, len(others))
    return [*others[:place], sentence, *others[place:]]


_MAKERS: tuple[Callable[[random.Random], Report], ...] = (
    _report_match,
    _report_forecast,
    _report_notice,
    _report_council,
)
