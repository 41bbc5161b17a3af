import pytest

from services.gateway.caller import KnownCaller
from services.gateway.shares import Shares
from services.gateway.tensors import InferRequest


def request(peer, priority=0):
    return InferRequest("m", "", "id", [], caller=KnownCaller(peer), priority=priority)


@pytest.mark.parametrize(("first", "second"), [(0, 2), (3, 2**64 - 1)])
def test_priorities_that_mean_the_same_share_a_line(first, second):
    shares = Shares()
    assert shares.find_flow(request("a:1", first)) is shares.find_flow(request("a:2", second))
    assert shares.find_flow(request("a:1", 1)) is not shares.find_flow(request("a:1", 2))


def test_who_has_had_more_than_a_share_goes_behind_who_has_not():
    shares = Shares()
    one, other = shares.find_flow(request("a:1")), shares.find_flow(request("b:1"))
    assert [shares.enter(one, 4), shares.enter(other, 1)] == [32, 8]
    shares.leave(one, 4)  # answered, in a batch with another's first row
    shares.reach(8)
    assert [shares.enter(other, 1), shares.enter(one, 1)] == [16, 40]


def test_an_empty_queue_owes_nobody_anything():
    shares = Shares()
    flow = shares.find_flow(request("a:1"))
    shares.enter(flow, 4)
    shares.leave(flow, 4)
    assert shares.enter(shares.find_flow(request("a:1")), 1) == 8


def test_any_number_of_callers_is_not_remembered():
    shares = Shares()
    waiting = shares.find_flow(request("a:1"))
    shares.enter(waiting, 1)
    for index in range(5000):
        flow = shares.find_flow(request(f"{index}:1"))
        shares.enter(flow, 1)
        shares.leave(flow, 1)
    assert len(shares._flows) <= 1024
    assert shares.find_flow(request("a:1")) is waiting


def test_a_part_is_equal_among_those_who_have_something_waiting():
    shares = Shares()
    shares.enter(shares.find_flow(request("a:1")), 90)
    newcomer = shares.find_flow(request("b:1"))
    assert shares.is_below_share(newcomer, 50, 100)
    assert not shares.is_below_share(newcomer, 51, 100)
    assert not shares.is_below_share(shares.find_flow(request("a:1")), 1, 90)
