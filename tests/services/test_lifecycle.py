"""What is served follows the store and the routing file; the engine here is one in this process."""

import asyncio
import contextlib

import numpy as np
import pytest

from model_store.golden import GoldenAnswer
from model_store.live_gate import read_progress
from model_store.rollback import roll_back
from model_store.signing import Keyring, VerificationError
from model_store.store import Store
from services.gateway.caller import KnownCaller
from services.gateway.core import Gateway
from services.gateway.errors import NotReadyError, UnknownModelError
from services.gateway.routing import read_routing
from services.gateway.settings import GatewaySettings
from services.gateway.tensors import InferRequest, NamedTensor
from services.lifecycle import Lifecycle
from services.selection import Planner, Routing, Wish, plan_catalogue
from services.torchserve.command import StartError
from tests.builders import publish_release
from tests.services.gateway.conftest import DoublingBackend

WAIT_S = 20
NO_PROCESS = 2**22 + 1  # above the most that a process id can be
X = np.ones((1, 4), np.float32)


class ChangingBackend(DoublingBackend):
    """Loads and unloads, and remembers which versions were asked while they were loaded, and which were not."""

    def __init__(self):
        super().__init__()
        self.loaded = set()
        self.broken = {}
        self.factors = {}
        self.strays = []

    async def load(self, variant):
        await asyncio.sleep(0)
        if variant.version in self.broken:
            raise StartError(self.broken[variant.version])
        self.loaded.add(str(variant))

    async def unload(self, variant):
        self.loaded.discard(str(variant))

    async def predict(self, variant, request):
        if str(variant) not in self.loaded:
            self.strays.append(str(variant))
        self.factor = self.factors.get(variant.version, 2)
        return await super().predict(variant, request)

    def ready_workers(self, variant):
        return frozenset({NO_PROCESS})


class Live:
    """A store, a gateway, and a lifecycle that follows."""

    def __init__(self, folder, **settings):
        self.store = Store(folder / "store", Keyring(folder / "keys"))
        self.routing = folder / "routing.yaml"
        self.routing.touch()
        self.settings = GatewaySettings(routing=self.routing, drain_timeout_s=1, **settings)
        self.backend = ChangingBackend()

    @contextlib.asynccontextmanager
    async def follow(self, models=(), variants=("default",), meanwhile=lambda: None):
        """`meanwhile` happens while the server starts."""
        wish = Wish(tuple(models), variants, "cpu")
        planner = Planner(self.store, wish, refuse=lambda *_: None)
        self.catalogue = plan_catalogue(planner, read_routing(self.routing))
        self.gateway = Gateway(self.catalogue, self.backend, self.settings)
        meanwhile()
        self.backend.loaded = set(map(str, self.catalogue.variants))
        await self.gateway.readiness.prove()
        self.lifecycle = Lifecycle(
            self.store, wish, self.gateway, self.backend, startup_timeout_s=5, on_change=lambda: None
        )
        await self.lifecycle.look()
        running = asyncio.create_task(self.lifecycle.run())
        try:
            yield self.gateway
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def ask(self, model="net", version="", **headers):
        """Which version answers."""
        request = InferRequest(model, version, "r", [NamedTensor("x", "FP32", (1, 4), X.tobytes())], protocol="grpc")
        request.caller = KnownCaller("", headers)
        return (await self.gateway.infer(request)).version

    async def until(self, condition):
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.005)

    async def until_loaded(self, *names):
        await self.until(lambda: self.backend.loaded == set(names) and not self.lifecycle._busy)

    async def until_default(self, version, model="net"):
        await self.until(lambda: model in self.gateway.catalogue and self.default(model) == version)

    def default(self, model="net"):
        return self.gateway.catalogue.find(model).version

    def reason(self, model="net"):
        return {(name, version): why for name, version, state, why in self.gateway.list_states() if state != "READY"}

    def sample(self, name, **labels):
        return self.gateway.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def live(tmp_path):
    live = Live(tmp_path)
    publish_release(live.store)
    return live


def golden(factor):
    expected = np.full((3, 4), factor, np.float32)
    return {"int8": GoldenAnswer(inputs=("x",), output="y", expected=expected, tolerance=0.01)}


async def test_a_new_release_takes_over_and_what_it_replaced_stays_until_the_next(live):
    async with live.follow():
        assert await live.ask() == "1-int8"
        publish_release(live.store)
        await live.until_default("2-int8")
        assert [await live.ask(), await live.ask(version="1")] == ["2-int8", "1-int8"]
        publish_release(live.store)
        await live.until_default("3-int8")
        await live.until_loaded("net 2-int8", "net 3-int8")
        with pytest.raises(UnknownModelError, match="no version '1'"):
            await live.ask(version="1")
        assert live.sample("millrace_model_ready", model="net", version="1-int8") is None
        assert live.sample("millrace_model_ready", model="net", version="3-int8") == 1
    assert live.backend.strays == []


async def test_a_release_that_comes_while_the_server_starts_takes_over_too(live):
    async with live.follow(meanwhile=lambda: publish_release(live.store)):
        assert await live.ask() == "1-int8"
        await live.until_default("2-int8")


async def test_nothing_stays_where_memory_is_worth_more(tmp_path):
    live = Live(tmp_path, keep_replaced=False)
    publish_release(live.store)
    async with live.follow():
        publish_release(live.store)
        await live.until_loaded("net 2-int8")


async def test_no_call_is_lost_in_rollouts_and_rollbacks_and_each_is_answered_by_a_version_that_was_routed(live):
    answered, routed = [], set()

    async def keep_asking():
        while True:
            routed.add(live.default())
            answered.append(await live.ask())
            await asyncio.sleep(0)

    async with live.follow():
        callers = [asyncio.create_task(keep_asking()) for _ in range(8)]
        for number in (2, 3, 4):
            publish_release(live.store)
            await live.until_default(f"{number}-int8")
        for number in (3, 2):
            await asyncio.to_thread(roll_back, live.store, "net", "test")
            await live.until_default(f"{number}-int8")
        assert all(not caller.done() for caller in callers)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    assert set(answered) == routed == {"1-int8", "2-int8", "3-int8", "4-int8"}
    assert live.backend.strays == []


async def test_a_rollback_is_followed_within_a_second_without_loading_anything(live):
    async with live.follow():
        publish_release(live.store)
        await live.until_default("2-int8")
        live.backend.broken = {"1-int8": "it would have to be loaded again"}
        start_s = asyncio.get_running_loop().time()
        await asyncio.to_thread(roll_back, live.store, "net", "wrong labels")
        await live.until_default("1-int8")
        assert asyncio.get_running_loop().time() - start_s < 1
        assert await live.ask() == "1-int8"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: (folder / "net-2-int8.mar").write_bytes(b"other"), "is not the file that was signed"),
        (lambda folder: (folder / "release.json.sig").write_text("{}"), "its signature file is not readable"),
    ],
)
async def test_a_release_that_does_not_verify_takes_nothing_over_and_says_why(live, tmp_path, spoil, why):
    other = Store(tmp_path / "other", live.store.keyring)
    publish_release(other)
    publish_release(other)
    spoil(other.root / "net" / "2")
    async with live.follow():
        (other.root / "net" / "2").rename(live.store.root / "net" / "2")
        await live.until(live.reason)
        assert list(live.reason()) == [("net", "2")]
        assert why in live.reason()["net", "2"]
        assert live.sample("millrace_release_refused", model="net", version="2") == 1
        assert await live.ask() == "1-int8"
        live.store.remove("net", 2)
        await live.until(lambda: not live.reason())
        assert live.sample("millrace_release_refused", model="net", version="2") is None


async def test_a_start_leaves_out_what_does_not_verify_and_says_why_unless_it_was_named(live):
    publish_release(live.store)
    publish_release(live.store, model="other")
    for folder in ("net/2/net-2", "other/1/other-1"):
        (live.store.root / f"{folder}-int8.mar").write_bytes(b"other")
    async with live.follow():
        assert (await live.ask(), live.gateway.is_ready()) == ("1-int8", True)
        assert {name: "is not the file" in why for name, why in live.reason().items()} == {
            ("net", "2"): True,
            ("other", "1"): True,
            ("other", ""): True,
        }
    with pytest.raises(VerificationError, match=r"other-1-int8\.mar is not the file"):
        async with live.follow(models=("net", "other")):
            pass


async def test_a_start_that_leaves_nothing_says_why(live):
    (live.store.root / "net/1/net-1-int8.mar").write_bytes(b"other")
    with pytest.raises(VerificationError, match=r"net-1-int8\.mar is not the file"):
        async with live.follow():
            pass


async def test_a_release_that_does_not_start_or_computes_something_else_takes_nothing_over(live):
    live.backend.broken = {"2-int8": "out of memory"}
    async with live.follow():
        publish_release(live.store)
        await live.until(live.reason)
        assert live.reason() == {("net", "2-int8"): "out of memory"}
        publish_release(live.store, golden=golden(factor=3))
        await live.until(lambda: ("net", "3-int8") in live.reason())
        assert "output 'y' for golden rows of x deviates by" in live.reason()["net", "3-int8"]
        assert (await live.ask(), live.gateway.is_ready()) == ("1-int8", True)
        publish_release(live.store, golden=golden(factor=2))
        await live.until_default("4-int8")
        await live.until_loaded("net 1-int8", "net 4-int8")


async def test_models_come_and_go_with_the_store(live):
    async with live.follow():
        publish_release(live.store, "more")
        await live.until_default("1-int8", "more")
        assert await live.ask("more") == "1-int8"
        live.store.remove("net", 1)
        await live.until_loaded("more 1-int8")
        with pytest.raises(UnknownModelError, match="this server has more"):
            await live.ask()


async def test_models_that_were_not_asked_for_are_left_alone(live):
    async with live.follow(models=["net"]):
        publish_release(live.store, "more")
        publish_release(live.store)
        await live.until_default("2-int8")
        assert live.gateway.catalogue.models == ["net"]


async def test_a_fixed_release_is_served_whatever_comes(live):
    async with live.follow(models=["net:1"]):
        publish_release(live.store)
        await live.lifecycle.look()
        assert live.gateway.catalogue.versions("net") == ["1-int8"]


async def test_a_pin_is_served_until_it_is_lifted(live):
    publish_release(live.store)
    live.routing.write_text("models: {net: {pin: 1-eager}}")
    async with live.follow():
        assert await live.ask() == "1-eager"
        live.routing.write_text("models: {net: {pin: 2-eager}}")
        await live.until_default("2-eager")
        live.routing.write_text("")
        await live.until_default("2-int8")


async def test_an_invalid_routing_file_is_refused_as_a_whole_and_the_one_before_stays(live, capsys):
    live.routing.write_text("models: {net: {pin: 1-eager}}")
    async with live.follow():
        for text, why in (
            ("models: {net: {pin: 1-int8}, other: {pin: 1-eager}}", "no model 'other'"),
            ("models: {net: {pin: 9-int8}}", "net has no release '9'"),
            ("models: {net: {pin: 1-int8, canary: {weights: {1-eager: 1.5}}}}", "models.net.canary.weights.1-eager"),
            ("models: [", "while parsing"),
        ):
            live.routing.write_text(text)
            await live.until(lambda why=why: why in live.lifecycle._routing_problem)
            assert (await live.ask(), live.sample("millrace_routing_refused")) == ("1-eager", 1)
        live.routing.write_text("models: {net: {pin: 1-int8}}")
        await live.until_default("1-int8")
        assert live.sample("millrace_routing_refused") == 0


async def test_a_routing_file_may_name_a_release_that_comes_later(live):
    async with live.follow():
        live.routing.write_text("models: {net: {canary: {weights: {2-int8: 1}}}}")
        await live.until(lambda: "net has no release '2'" in live.lifecycle._routing_problem)
        publish_release(live.store)
        await live.until(lambda: live.gateway.router is not None and "net 2-int8" in live.backend.loaded)
        assert live.default() == "1-int8"


async def test_a_canary_gets_its_share_of_the_callers_and_each_stays_with_its_version(live):
    publish_release(live.store)
    live.routing.write_text("models: {net: {canary: {by: X-User, weights: {2-int8: 0.2}}}}")
    async with live.follow():
        assert live.default() == "1-int8"  # a release that is tried out does not take over
        users = [f"user {number}" for number in range(1000)]
        answers = [await live.ask(**{"x-user": user}) for user in users]
        assert abs(answers.count("2-int8") - 200) < 4 * (1000 * 0.2 * 0.8) ** 0.5
        assert set(answers) == {"1-int8", "2-int8"}
        assert [await live.ask(**{"x-user": user}) for user in users[:100]] == answers[:100]
        live.routing.write_text("models: {net: {canary: {by: x-user, weights: {2-int8: 0.5}}}}")
        await live.until(lambda: live.lifecycle._routing.models["net"].canary.weights["2-int8"] == 0.5)
        await live.lifecycle.look()
        wider = [await live.ask(**{"x-user": user}) for user in users]
        assert all(now == "2-int8" for now, before in zip(wider, answers, strict=True) if before == "2-int8")
        live.routing.write_text("")
        await live.until_default("2-int8")


async def test_a_canary_that_cannot_answer_is_given_nothing(live):
    publish_release(live.store)
    live.routing.write_text("models: {net: {canary: {weights: {2-int8: 1}}}}")
    async with live.follow() as gateway:
        assert await live.ask() == "2-int8"
        gateway.readiness._proven.pop("net 2-int8")
        assert await live.ask() == "1-int8"
        assert gateway.is_ready()


async def test_models_are_unloaded_and_loaded_by_request(live):
    async with live.follow(models=["net"]):
        publish_release(live.store, "more")
        await live.lifecycle.load("more")
        assert await live.ask("more") == "1-int8"
        await live.lifecycle.unload("net")
        with pytest.raises(UnknownModelError, match="this server has more"):
            await live.ask()
        await live.until_loaded("more 1-int8")
        await live.lifecycle.load("net")
        assert await live.ask() == "1-int8"
        with pytest.raises(UnknownModelError, match="it has more, net"):
            await live.lifecycle.load("none")
        with pytest.raises(UnknownModelError):
            await live.lifecycle.unload("none")


async def test_a_model_that_cannot_be_loaded_says_why(live):
    live.backend.broken = {"1-eager": "no such library"}
    async with live.follow():
        publish_release(live.store, "more", {"eager": {}})
        with pytest.raises(NotReadyError, match="more cannot be served: no such library"):
            await live.lifecycle.load("more")
        live.backend.broken = {}
        await live.lifecycle.load("more")
        assert await live.ask("more") == "1-eager"


async def test_acts_that_do_not_verify_change_nothing(live):
    publish_release(live.store)
    async with live.follow():
        roll_back(live.store, "net", "test")
        await live.until_default("1-int8")
        live.store.acts("net").folder.joinpath("1.json").write_text("{}")
        await live.until(live.reason)
        assert "is no signed act" in live.reason()["net", ""]
        assert await live.ask() == "1-int8"


def test_routing_without_a_file_routes_nothing():
    assert Routing().of("net").versions == set()


SHADOW = "models: {net: {shadow: {to: 2-int8, share: 1, margin: 0.05, promote: true}}}"


async def ask_until(live, condition):
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await live.ask()


async def test_a_candidate_that_agrees_takes_over_with_a_signed_record(live):
    publish_release(live.store)
    live.routing.write_text(SHADOW)
    async with live.follow():
        assert live.default() == "1-int8"
        await ask_until(live, lambda: live.default() == "2-int8")
        (act,) = live.store.acts("net").read()
        assert (act.kind, act.version, act.against) == ("promote", "2-int8", "1-int8")
        assert act.why.startswith("pass after ")
        await live.until_loaded("net 1-int8", "net 2-int8")
        await asyncio.to_thread(roll_back, live.store, "net", "after all")
        await live.until_default("1-int8")
    assert live.backend.strays == []


async def test_a_candidate_that_changes_answers_is_dropped_with_a_signed_record(live):
    publish_release(live.store)
    live.routing.write_text(SHADOW)
    live.backend.factors = {"2-int8": 3}
    async with live.follow():
        await ask_until(live, lambda: live.store.acts("net").read())
        (act,) = live.store.acts("net").read()
        assert (act.kind, act.version, act.against) == ("drop", "2-int8", "1-int8")
        assert "changed 50.00 % of answers" in act.why
        await live.until_loaded("net 1-int8")
        live.routing.write_text("")
        await live.lifecycle.look()
        assert live.default() == "1-int8"  # what was dropped does not become the newest


async def test_what_a_live_gate_knows_is_left_in_the_store(live):
    publish_release(live.store)
    live.routing.write_text(SHADOW.replace("promote: true", "promote: false"))
    async with live.follow() as gateway:
        await ask_until(live, lambda: next(gateway.answering.shadows.report()).outcome == "pass")
        await live.until(lambda: read_progress(live.store.root, "net", "2-int8"))
        await live.until(lambda: read_progress(live.store.root, "net", "2-int8")[0].outcome == "pass")
        assert live.sample("millrace_live_gate_outcome", model="net", version="2-int8", against="1-int8") == 1
        assert live.store.acts("net").read() == []
        assert live.default() == "1-int8"


async def test_a_shadow_without_a_margin_is_refused_as_routing(live):
    publish_release(live.store)
    async with live.follow():
        live.routing.write_text(SHADOW.replace("margin: 0.05, ", ""))
        await live.until(lambda: "accuracy of net 2-int8 says nothing" in live.lifecycle._routing_problem)
        assert live.default() == "2-int8"
