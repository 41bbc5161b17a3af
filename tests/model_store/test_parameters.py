import pytest

from model_store.parameters import ParameterError, check_parameter, guess_parameter, parse_parameter


def rule(kind, **limits):
    return {"name": "p", "kind": kind, "meaning": "what it means", **limits}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("bool", "TRUE", True),
        ("bool", "0", False),
        ("int64", "-3", -3),
        ("double", "1", 1.0),
        ("double", "2.5e3", 2500.0),
        ("string", "7", "7"),
    ],
)
def test_text_becomes_what_the_rule_says(kind, text, value):
    parsed = parse_parameter(text, rule(kind))
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("bool", "yes", r"p is 'yes'; it must be true or false \(bool\): what it means"),
        ("int64", "1.5", r"it must be a whole number \(int64\)"),
        ("double", "much", r"it must be a number \(double\)"),
        ("double", "nan", "it must be finite"),
        ("int64", str(2**63), "it must fit into 64 bits"),
    ],
)
def test_text_of_another_kind_is_refused(kind, text, words):
    with pytest.raises(ParameterError, match=words):
        parse_parameter(text, rule(kind))


@pytest.mark.parametrize(
    ("kind", "limits", "value", "words"),
    [
        ("int64", {"minimum": 2, "maximum": 4}, 7, "p is 7; the range is 2 to 4: what it means"),
        ("double", {"minimum": 0.1}, 0, "the range is 0.1 to ∞"),
        ("string", {"choices": ("fast", "slow")}, "medium", "it must be one of fast, slow"),
        ("int64", {}, True, "it must be a whole number"),
        ("int64", {}, 10**400, "it must fit into 64 bits"),  # larger than any float
        ("double", {"maximum": 4}, 10**400, "the range is -∞ to 4"),
        ("bool", {}, 1, "it must be true or false"),
    ],
)
def test_values_are_checked_against_bounds_choices_and_kind(kind, limits, value, words):
    with pytest.raises(ParameterError, match=words):
        check_parameter(value, rule(kind, **limits))


@pytest.mark.parametrize(("text", "value"), [("3", 3), ("0.5", 0.5), ("true", True), ("abc", "abc"), ("", "")])
def test_without_a_rule_the_look_decides(text, value):
    assert guess_parameter(text) == value
    assert type(guess_parameter(text)) is type(value)
