import pytest

from services.gateway.caller import KnownCaller
from services.gateway.routing import Canary, Router, RoutingError, read_routing
from services.gateway.tensors import InferRequest

SHADOW = "shadow: {to: 4-int8, share: 0.05}"


def request(**headers):
    return InferRequest("net", "", "r", [], caller=KnownCaller("", headers))


@pytest.mark.parametrize("text", ["", "models: {}", f"models: {{net: {{pin: 3-int8, {SHADOW}}}}}"])
def test_reads_what_is_valid(tmp_path, text):
    path = tmp_path / "routing.yaml"
    path.write_text(text)
    assert read_routing(path).of("net").versions == ({"3-int8", "4-int8"} if "pin" in text else set())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("models: {net: {pin: 3}}", "models.net.pin: Input should be a valid string"),
        ("models: {net: {pin: three}}", "models.net.pin: String should match pattern"),
        ("models: {Net: {pin: 3-int8}}", "models.Net"),
        ("models: {net: {pins: 3-int8}}", "models.net.pins: Extra inputs are not permitted"),
        ("models: {net: {shadow: {to: 4-int8, share: 0}}}", "models.net.shadow.share: Input should be greater than 0"),
        ("models: {net: {canary: {weights: {}}}}", "models.net.canary.weights"),
        ("models: {net: {canary: {weights: {4-int8: 0.6, 4-eager: 0.6}}}}", "the weights sum to 1.2, more than 1"),
        (f"models: {{net: {{pin: 4-int8, {SHADOW}}}}}", "4-int8 is pinned, and a canary or shadow besides"),
        ("models: [", "while parsing"),
        ("- net", "Input should be a valid dictionary"),
    ],
)
def test_names_each_place_that_is_wrong(tmp_path, text, why):
    path = tmp_path / "routing.yaml"
    path.write_text(text)
    with pytest.raises(RoutingError) as raised:
        read_routing(path)
    assert why in str(raised.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(RoutingError, match="No such file"):
        read_routing(tmp_path / "none.yaml")


def test_callers_are_spread_over_several_canaries_by_their_weights(variant):
    weights = {"4-int8": 0.3, "4-eager": 0.2}
    router = Router({"net": (Canary(by="X-User", weights=weights), dict.fromkeys(weights, variant))})
    found = [router.choose(request(**{"x-user": str(user)}), lambda chosen: True) for user in range(2000)]
    assert abs(sum(chosen is variant for chosen in found) - 1000) < 4 * 500**0.5


def test_without_a_key_chance_decides_each_time(variant):
    router = Router({"net": (Canary(weights={"4-int8": 0.5}), {"4-int8": variant})})
    found = [router.choose(request(), lambda chosen: True) for _ in range(400)]
    assert 120 < sum(chosen is variant for chosen in found) < 280


def test_models_without_a_canary_and_canaries_that_are_not_loaded_or_ready_get_nothing(variant):
    router = Router({"net": (Canary(weights={"4-int8": 1}), {"4-int8": variant})})
    assert router.choose(InferRequest("other", "", "r", []), lambda chosen: True) is None
    assert router.choose(request(), lambda chosen: False) is None
    router = Router({"net": (Canary(weights={"4-int8": 1}), {})})
    assert router.choose(request(), lambda chosen: True) is None
