"""Opinions made by a grammar: sentences whose sentiment hangs on who says what of whom, not on which words occur.

A sentence says of a noun that it is an adjective, in one of many frames: plainly, negated, negated twice, affirmed by
words that negate elsewhere ("nobody can deny"), wished for, set against what others say or what was expected, or asked
without an opinion. Every adjective stands in every frame, in as many sentences of one sentiment as of the other.

Held-out sentences have pairs of frame and adjective, and in the test part also nouns, openings and asides, that no
training sentence has. Every frame and every adjective alone is trained on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

LABELS = ("negative", "neutral", "positive")
Part = Literal["train", "validation", "test"]

_POSITIVE = (
    *("good", "great", "excellent", "lovely", "charming", "helpful", "friendly", "clean", "fresh", "tasty"),
    *("comfortable", "quick", "reliable", "clever", "brilliant", "funny", "exciting", "beautiful", "elegant"),
    *("sturdy", "quiet", "cheerful", "generous", "honest", "precise", "smooth", "delicious", "touching", "witty"),
    *("superb", "useful", "pleasant", "polite", "bright", "flawless", "splendid", "warm", "inspiring"),
    *("delightful", "impressive"),
)
_NEGATIVE = (
    *("bad", "awful", "terrible", "horrible", "rude", "dirty", "stale", "bland", "slow", "unreliable", "stupid"),
    *("boring", "ugly", "clumsy", "flimsy", "noisy", "gloomy", "stingy", "dishonest", "sloppy", "bumpy"),
    *("disgusting", "dull", "tedious", "useless", "unpleasant", "broken", "shabby", "dreadful", "mediocre", "cold"),
    *("disappointing", "annoying", "careless", "tasteless", "cramped", "confusing", "lousy"),
    *("miserable", "pathetic"),
)
_NOUNS = (
    *("room", "soup", "service", "waiter", "hotel", "phone", "battery", "camera", "screen", "plot", "ending"),
    *("film", "actor", "music", "book", "chapter", "bed", "breakfast", "driver", "train", "flight", "seat"),
    *("coffee", "dessert", "menu", "kitchen", "garden", "view", "pool", "staff", "guide", "museum", "concert"),
    *("singer", "sound", "keyboard", "laptop", "jacket", "shirt", "fabric", "zipper", "delivery", "packaging"),
    *("manual", "app", "interface", "game", "story", "dialogue"),
)
_TEST_NOUNS = (
    *("café", "sauce", "receptionist", "hostel", "tablet", "charger", "lens", "novel", "heroine", "script"),
    *("mattress", "pilot", "tram", "espresso", "salad", "terrace", "sauna", "exhibition", "choir", "headset"),
    *("monitor", "coat", "helmet", "website", "puzzle"),
)
_OPENINGS = (
    *("honestly, ", "to be fair, ", "in short, ", "after two weeks: ", "well, ", "for the record, ", "by the way, "),
    *(
        "to sum up, ",
        "as a regular guest, ",
        "for what it is worth, ",
        "like it or not, ",
        "no kidding, ",
        "in brief: ",
    ),
    *("yesterday: ", "on the whole, ", "for once, ", "no kidding, ", "without exaggeration: ", "first of all, "),
)
_TEST_OPENINGS = ("frankly, ", "all things considered, ", "as for me, ", "believe it or not, ", "after a month: ")
_PEOPLE = (
    *("we", "my sister", "our children", "the neighbours", "a friend of mine", "my parents", "they", "two guests", "i"),
    *("the whole family", "his boss", "some tourists", "she", "our group", "the others"),
)
_TEST_PEOPLE = ("my uncle", "two colleagues", "a cousin", "her team")
_DEEDS = (
    *(
        "came by bus",
        "paid in cash",
        "stayed for three nights",
        "waited for an hour",
        "had read about it",
        "left early",
    ),
    *("took pictures", "ordered it in march", "wore a red hat", "had no luggage", "went home", "asked for the bill"),
    *("did not stay long", "never eat meat", "sat by the window", "spoke little", "brought an umbrella"),
)
_TEST_DEEDS = ("had booked in june", "arrived on a friday", "drank water", "did not wait", "looked at a map")
_SYLLABLES = (
    *("ba", "be", "bi", "bo", "da", "de", "do", "fa", "fi", "ga", "go", "ka", "ke", "ki", "la", "le", "li", "lo"),
    *("ma", "me", "mi", "mo", "na", "ne", "no", "pa", "pe", "ra", "re", "ri", "ro", "sa", "se", "so", "ta", "te"),
    *("ti", "to", "va", "ve", "vi", "vo", "za", "zo", "bra", "cle", "dru", "fli", "gra", "kno", "plu", "sta"),
    *("tri", "xan", "yor", "win", "dle", "ster"),
)

# {n} noun, {a} the adjective that counts, {b} one of the other sentiment, {an a} with its article, {d} an adverb.
_SAME: dict[str, tuple[str, ...]] = {
    "plain": (
        *("the {n} was {d}{a}", "i found the {n} {d}{a}", "the {n} turned out to be {d}{a}", "what {an a} {n}"),
        *("everybody said the {n} was {a}, and it was", "the {n} is as {a} as can be"),
    ),
    "affirmed": (
        *("there is no doubt that the {n} was {a}", "nobody can deny that the {n} was {a}"),
        *("the {n} was nothing short of {a}", "i cannot stress enough how {a} the {n} was"),
        *("never have i had such {an a} {n}", "hardly anyone doubts that the {n} was {a}"),
        *("the {n} was not just {a}, it was more than that", "nothing was as {a} as the {n}"),
    ),
    "negated twice": (
        *("it is not true that the {n} was not {a}", "nobody would say that the {n} was anything but {a}"),
        *("it would be wrong to say that the {n} was not {a}", "i cannot say that the {n} was far from {a}"),
        *("never was the {n} anything but {a}", "there was no moment in which the {n} was not {a}"),
    ),
    "set against": (
        *("i expected the {n} to be {b}, but it was {a}", "the {n} was {a}, although i expected it to be {b}"),
        *("my friends called the {n} {b}, to me it was {a}", "to me the {n} was {a}, my friends called it {b}"),
        *("instead of {an b} {n} we got {an a} one", "we got {an a} {n} instead of {an b} one"),
        *("the {n} used to be {b}, now it is {a}", "the {n} is {a} now, it used to be {b}"),
    ),
}
_OPPOSITE: dict[str, tuple[str, ...]] = {
    "negated": (
        *("the {n} was not {d}{a}", "the {n} was never {a}", "the {n} was anything but {a}"),
        *("the {n} was far from {a}", "i would not describe the {n} as {a}"),
        *("nobody would call the {n} {a}", "i cannot say that the {n} was {a}", "hardly anyone thinks the {n} was {a}"),
        *("there was nothing {a} about the {n}", "it is not true that the {n} was {a}"),
        "everybody said the {n} was {a}, and it was not",
    ),
    "wished for": (
        *("if only the {n} had been {a}", "i wish the {n} were {a}", "the {n} could have been {a}, what a pity"),
        *("a {n} should be {a}, this one was not", "for {an a} {n} you have to go elsewhere"),
    ),
}
_NEITHER: dict[str, tuple[str, ...]] = {
    "no opinion": (
        *("was the {n} {d}{a}?", "i wonder whether the {n} was {a}", "could you tell me if the {n} is {a}?"),
        *("they asked whether the {n} was {a} or {b}", "i do not know if the {n} was {a}"),
        *("nobody told us whether the {n} was {a}", "we have not tried the {n}, it may be {a}"),
        *("some call the {n} {a}, others {b}, i have no opinion", "is it true that the {n} was not {a}?"),
    ),
}
_WEIGHTS = {
    "plain": 6,
    "affirmed": 2,
    "negated twice": 2,
    "set against": 4,
    "negated": 4,
    "wished for": 2,
    "no opinion": 5,
}
_ADVERBS = ("", "", "", "very ", "really ", "so ", "quite ")
_SHARE_OF_OPENINGS, _SHARE_OF_ASIDES = 0.5, 0.4
# Of the pairs of frame and adjective, one in this many validates, and one tests.
_HELD_OUT = 8


@dataclass(frozen=True)
class Opinion:
    """One sentence, its label's number, and the form that it is made in."""

    text: str
    label: int
    form: str


@dataclass(frozen=True)
class _Frame:
    text: str
    form: str
    number: int
    label_of: Callable[[bool], int]


def _list_frames() -> list[tuple[_Frame, float]]:
    frames: list[tuple[_Frame, float]] = []
    groups: Sequence[tuple[dict[str, tuple[str, ...]], Callable[[bool], int]]] = (
        (_SAME, lambda positive: 2 if positive else 0),
        (_OPPOSITE, lambda positive: 0 if positive else 2),
        (_NEITHER, lambda positive: 1),
    )
    for forms, label_of in groups:
        for form, texts in forms.items():
            weight = _WEIGHTS[form] / len(texts)
            frames += [(_Frame(text, form, len(frames) + place, label_of), weight) for place, text in enumerate(texts)]
    return frames


FORMS = (*_SAME, *_OPPOSITE, *_NEITHER)


def compose_opinions(count: int, part: Part, seed: int) -> list[Opinion]:
    """Compose different sentences of one part; the same for the same seed."""
    chance = random.Random(f"{part} {seed}")
    frames, weights = zip(*_list_frames(), strict=True)
    found: dict[str, Opinion] = {}
    while len(found) < count:
        (frame,) = chance.choices(frames, weights)
        positive = chance.random() < 0.5
        own, others = (_POSITIVE, _NEGATIVE) if positive else (_NEGATIVE, _POSITIVE)
        place = chance.randrange(len(own))
        if _part_of(frame.number, place) != part:
            continue
        text = _fill(frame.text, own[place], chance.choice(others), part, chance)
        found.setdefault(text, Opinion(text, frame.label_of(positive), frame.form))
    return list(found.values())


def _part_of(frame: int, adjective: int) -> Part:
    place = (3 * frame + adjective) % _HELD_OUT
    return "test" if place == 0 else "validation" if place == 1 else "train"


def _fill(frame: str, adjective: str, other: str, part: Part, chance: random.Random) -> str:
    is_test = part == "test"
    words = {
        "n": chance.choice(_TEST_NOUNS) if is_test else _draw_noun(chance),
        "a": adjective,
        "b": other,
        "an a": _with_article(adjective),
        "an b": _with_article(other),
        "d": chance.choice(_ADVERBS),
    }
    text = frame.format_map(words)
    if chance.random() < _SHARE_OF_OPENINGS:
        text = chance.choice(_TEST_OPENINGS if is_test else _OPENINGS) + text
    if chance.random() < _SHARE_OF_ASIDES:
        people, deeds = (_TEST_PEOPLE, _TEST_DEEDS) if is_test else (_PEOPLE, _DEEDS)
        aside = f"{chance.choice(people)} {chance.choice(deeds)}"
        text = f"{aside} and {text}" if chance.random() < 0.5 else f"{text}{'' if text.endswith('?') else ','} {aside}"
    return text


def _draw_noun(chance: random.Random) -> str:
    """A noun or a name that nobody knows, so that a network learns to do without knowing it."""
    if chance.random() < 0.5:
        return chance.choice(_NOUNS)
    return "".join(chance.choices(_SYLLABLES, k=chance.choice((2, 3))))


def _with_article(word: str) -> str:
    begins_with_vowel = word == "honest" or (word[0] in "aeiou" and not word.startswith("use"))
    return f"{'an' if begins_with_vowel else 'a'} {word}"
