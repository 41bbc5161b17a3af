"""English–French phrases composed from CLDR's tables and from numbers in words: real language without a download.

Source: Unicode CLDR as Babel ships it; num2words.
"""

from __future__ import annotations

import datetime
import random
import unicodedata
from collections.abc import Callable, Iterable
from typing import Literal

from babel import Locale
from babel.dates import format_date, format_timedelta
from babel.lists import format_list
from babel.numbers import format_decimal, get_currency_name, get_territory_currencies
from babel.units import format_unit
from num2words import num2words

Pair = tuple[str, str]
_LOCALES = ("en", "fr")
_UNIT_KINDS = ("digital", "duration", "length", "mass", "speed", "temperature", "volume")
_FIRST_DAY = datetime.date(1900, 1, 1)
_NUM_DAYS = 73_000
_Span = Literal["second", "minute", "hour", "day", "week"]
_SPANS: dict[_Span, int] = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}


def compose_phrases(num_phrases: int, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Make all names there are, and so many different phrases composed of them, of numbers and of dates.

    Every name is a phrase of its own, so that a composed phrase may be new though each word in it is known. No English
    phrase occurs twice, and each has one French form.
    """
    names = _collect_names()
    makers = _list_makers(names)
    atoms = {english: french for pairs in names.values() for english, french in pairs}
    composed: dict[str, str] = {}
    generator = random.Random(seed)
    while len(composed) < num_phrases:
        english, french = generator.choice(makers)(generator)
        if english not in atoms:
            composed.setdefault(english, french)
    return sorted(atoms.items()), list(composed.items())


def _collect_names() -> dict[str, list[Pair]]:
    """Names of languages, places and currencies, without those that mean two things."""
    english, french = (Locale(code) for code in _LOCALES)
    places = {key for key in map(str, english.territories) if len(key) == 2 and key.isalpha()}
    languages = {key for key in map(str, english.languages) if len(key) == 2}
    currencies = {code for place in places for code in get_territory_currencies(place)}
    names = {
        "languages": _pair_up((english.languages[key], french.languages.get(key, "")) for key in languages),
        "places": _pair_up((english.territories[key], french.territories.get(key, "")) for key in places),
        "currencies": _pair_up(
            (get_currency_name(code, locale="en"), get_currency_name(code, locale="fr")) for code in currencies
        ),
    }
    seen: dict[str, int] = {}
    for pairs in names.values():
        for name, _ in pairs:
            seen[name] = seen.get(name, 0) + 1
    return {kind: [pair for pair in pairs if seen[pair[0]] == 1] for kind, pairs in names.items()}


def _pair_up(pairs: Iterable[Pair]) -> list[Pair]:
    cleaned = ((_clean(english), _clean(french)) for english, french in pairs)
    return sorted({english: french for english, french in cleaned if english and french}.items())


def _list_makers(names: dict[str, list[Pair]]) -> list[Callable[[random.Random], Pair]]:
    units = _list_units()
    amounts = [_amount_in_words, _amount_in_figures]
    codes = _list_currency_codes()
    return [
        lambda draw: _join([draw.choice(names["languages"]) for _ in range(draw.choice((2, 2, 3)))], draw),
        lambda draw: _join([draw.choice(names["places"]) for _ in range(draw.choice((2, 2, 3)))], draw),
        lambda draw: _dialect(draw.choice(names["languages"]), draw.choice(names["places"])),
        _number_in_words,
        lambda draw: draw.choice(amounts)(draw, draw.choice(codes)),
        lambda draw: _quantity(draw, draw.choice(units)),
        lambda draw: _join([_quantity(draw, draw.choice(units)) for _ in range(2)], draw),
        _date,
        _relative_time,
    ]


def _list_units() -> list[str]:
    patterns = [Locale(code)._data["unit_patterns"] for code in _LOCALES]
    known = [unit for unit in patterns[0] if unit in patterns[1] and unit.split("-")[0] in _UNIT_KINDS]
    return [unit for unit in known if not unit.endswith(("-person", "-imperial", "-generic"))]


def _list_currency_codes() -> list[str]:
    places = [key for key in map(str, Locale("en").territories) if len(key) == 2 and key.isalpha()]
    return sorted({code for place in places for code in get_territory_currencies(place)})


def _number(draw: random.Random) -> int:
    return draw.randrange(10 ** draw.choice((1, 2, 3, 4)))


def _join(pairs: list[Pair], draw: random.Random) -> Pair:
    styles: tuple[Literal["standard", "or"], ...] = ("standard", "or")
    style = draw.choice(styles)
    english, french = zip(*pairs, strict=True)
    return _clean(format_list(english, style, "en")), _clean(format_list(french, style, "fr"))


def _dialect(language: Pair, place: Pair) -> Pair:
    return f"{language[0]} ({place[0]})", f"{language[1]} ({place[1]})"


def _number_in_words(draw: random.Random) -> Pair:
    number = _number(draw)
    kind = draw.choice(("cardinal", "cardinal", "ordinal"))
    english, french = (num2words(number, lang=code, to=kind) for code in _LOCALES)
    return _clean(english), _clean(french)


def _amount_in_words(draw: random.Random, code: str) -> Pair:
    number = _number(draw)
    english, french = (
        f"{num2words(number, lang=locale)} {get_currency_name(code, number, locale=locale)}" for locale in _LOCALES
    )
    return _clean(english), _clean(french)


def _amount_in_figures(draw: random.Random, code: str) -> Pair:
    number = _number(draw)
    english, french = (
        f"{format_decimal(number, locale=locale)} {get_currency_name(code, number, locale=locale)}"
        for locale in _LOCALES
    )
    return _clean(english), _clean(french)


def _quantity(draw: random.Random, unit: str) -> Pair:
    number = _number(draw) / draw.choice((1, 1, 10))
    english, french = (format_unit(number, unit, locale=locale) for locale in _LOCALES)
    return _clean(english), _clean(french)


def _date(draw: random.Random) -> Pair:
    day = _FIRST_DAY + datetime.timedelta(days=draw.randrange(_NUM_DAYS))
    style = draw.choice(("long", "full"))
    english, french = (format_date(day, style, locale) for locale in _LOCALES)
    return _clean(english), _clean(french)


def _relative_time(draw: random.Random) -> Pair:
    unit: _Span = draw.choice(list(_SPANS))
    span = datetime.timedelta(seconds=draw.choice((-1, 1)) * draw.randrange(1, 500) * _SPANS[unit])
    english, french = (
        format_timedelta(span, granularity=unit, threshold=10_000, add_direction=True, locale=locale)
        for locale in _LOCALES
    )
    return _clean(english), _clean(french)


def _clean(text: str) -> str:
    """Plain spaces instead of CLDR's narrow and unbreakable ones."""
    return " ".join(unicodedata.normalize("NFKC", text).split())
