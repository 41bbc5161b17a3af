"""Rules are changed in the text of the file, which stays its operator's."""

import pytest

from services.console.routing_file import edit_rules
from services.gateway.routing import ModelRouting, RoutingError

FILE = """\
# by the night shift
models:
  classifier:
    pin: 3-int8       # until 4 is known
    # one in twenty
    canary: {by: x-user, weights: {4-int8: 0.05}}
    shadow:
      to: 5-int8  # a friend's
      share: 0.1

  # the other one
  net:
    pin: 1-eager
"""


def change(text, model="classifier", **rules):
    return edit_rules(text, model, ModelRouting.model_validate(rules))


CANARY = {"by": "x-user", "weights": {"4-int8": 0.05}}
SHADOW = {"to": "5-int8", "share": 0.1}


def test_one_value_changes_in_its_line():
    changed = change(FILE, pin="3-eager", canary=CANARY, shadow=SHADOW)
    assert changed == FILE.replace("pin: 3-int8 ", "pin: 3-eager ")


def test_what_goes_takes_its_lines_along_and_what_comes_stands_behind_the_last():
    changed = change(FILE, canary=CANARY | {"weights": {"4-int8": 0.5}}, shadow=SHADOW | {"promote": True})
    assert changed == FILE.replace("    pin: 3-int8       # until 4 is known\n", "").replace("0.05", "0.5").replace(
        "share: 0.1\n", "share: 0.1\n      promote: true\n"
    )


def test_a_model_without_rules_goes_and_the_others_stay():
    changed = change(FILE)
    assert changed == "# by the night shift\nmodels:\n" + FILE[FILE.index("\n  # the other") :]
    assert change(change(changed, "net"), "net", pin="2-int8").startswith("# by the night shift\nmodels:\n")


def test_the_same_rules_change_nothing():
    assert change(FILE, pin="3-int8", canary=CANARY, shadow=SHADOW) == FILE


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", "models:\n  net:\n    pin: 1-int8\n"),
        ("# nothing yet\n", "# nothing yet\nmodels:\n  net:\n    pin: 1-int8\n"),
        ("models: {}  # none\n", "models: {net: {pin: 1-int8}}  # none\n"),
        ("models: {a: {pin: 1-x}}", "models: {a: {pin: 1-x}, net: {pin: 1-int8}}"),
        ("{}", "{models: {net: {pin: 1-int8}}}"),
        ("models:\n  a:\n    pin: 1-x", "models:\n  a:\n    pin: 1-x\n  net: {pin: 1-int8}\n"),
        ("models:\n  net:\n    canary:\n      weights: {2-x: 1}\n", "models:\n  net:\n    pin: 1-int8\n"),
    ],
)
def test_rules_come_into_whatever_form_the_file_has(text, changed):
    assert change(text, "net", pin="1-int8") == changed


def test_what_stands_in_two_places_is_left_to_a_hand():
    shared = "models:\n  a: &same\n    pin: 1-x\n  net: *same\n"
    with pytest.raises(RoutingError, match="can only be changed by hand"):
        change(shared, "net", pin="1-int8")
