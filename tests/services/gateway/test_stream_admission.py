from math import inf
from time import monotonic

import pytest

from services.gateway.errors import OverloadedError
from services.gateway.stream_admission import StreamAdmission
from services.gateway.tensors import InferRequest


class Waiting:
    """Streams that wait: how many, how many of them before the next, and whether its caller has few."""

    def __init__(self, num_waiting, num_before=None, is_below=False):
        self.num_waiting, self.is_below = num_waiting, is_below
        self.num_before = num_waiting if num_before is None else num_before

    def __len__(self):
        return self.num_waiting

    def count_before(self, request):
        return self.num_before

    def is_below_share(self, request, most):
        return self.is_below


def make_request(deadline_s=inf):
    return InferRequest("double", "", "id", [], deadline_s=deadline_s)


@pytest.fixture
def admission():
    """Four places, answers of one second, waits of at most two."""
    admission = StreamAdmission("double 3-eager", num_places=4, max_wait_s=2.0, max_waiting=20)
    admission.observe_end(1.0)
    return admission


def promise(admission, waiting, *, num_free=0, are_joined=True, deadline_s=inf):
    request = make_request(deadline_s)
    admission.check(request, waiting, num_free, are_joined=are_joined)
    return request.promised_s


def test_a_stream_that_finds_a_place_is_promised_nothing_and_never_refused(admission):
    assert promise(admission, Waiting(3), num_free=4, deadline_s=monotonic()) == 0


def test_places_become_free_one_by_one_while_sessions_are_joined(admission):
    assert [promise(admission, Waiting(num)) for num in (0, 3, 7)] == [0.25, 1.0, 2.0]
    with pytest.raises(OverloadedError, match="begin in 2250 ms and may wait for 2000"):
        promise(admission, Waiting(8))


def test_places_become_free_together_while_other_calls_wait(admission):
    assert [promise(admission, Waiting(num), are_joined=False) for num in (0, 3, 4, 7)] == [0.5, 0.5, 1.5, 1.5]


def test_an_answer_must_end_before_its_deadline(admission):
    assert promise(admission, Waiting(3), deadline_s=monotonic() + 2.1) == 1.0
    with pytest.raises(OverloadedError, match="takes 1000 ms, which is after its deadline") as caught:
        promise(admission, Waiting(3), deadline_s=monotonic() + 1.5)
    assert caught.value.retry_after_s == pytest.approx(0.5, abs=0.1)


def test_only_streams_that_go_before_it_make_it_late(admission):
    assert promise(admission, Waiting(15, num_before=1)) == 0.5


def test_more_than_may_wait_are_refused_but_a_callers_equal_part(admission):
    with pytest.raises(OverloadedError, match="20 streams of double 3-eager are waiting, at most 20 may"):
        promise(admission, Waiting(20, num_before=0))
    assert promise(admission, Waiting(20, num_before=0, is_below=True)) == 0.25


def test_promises_that_do_not_hold_grow(admission):
    request = make_request()
    request.promised_s = 0.5
    for waited_s in [inf, 0.6] * 3:
        admission.observe_begin(request, waited_s)
    assert promise(admission, Waiting(0)) > 0.25 * 2
