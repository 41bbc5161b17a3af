import numpy as np
import pytest

from services.gateway.quarantine import Quarantine
from services.gateway.tensors import InferRequest, NamedTensor


def make_request(value=1.0, identity="a", **changes):
    data = np.full((1, 2), value, np.float32).tobytes()
    return InferRequest("net", "", identity, [NamedTensor("x", "FP32", (1, 2), data)], **changes)


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def quarantine(clock):
    return Quarantine(kept_s=60, most_kept=2, now=lambda: clock[0])


def test_knows_a_request_by_its_contents_and_not_by_its_id(quarantine):
    quarantine.add(make_request())
    assert quarantine.holds(make_request(identity="b"))
    assert not quarantine.holds(make_request(2.0))
    assert not quarantine.holds(make_request(parameters={"k": 1}))
    assert not quarantine.holds(make_request(outputs=("y",)))


def test_forgives_after_a_while(quarantine, clock):
    quarantine.add(make_request())
    clock[0] = 59.0
    assert quarantine.holds(make_request())
    clock[0] = 61.0
    assert not quarantine.holds(make_request())


def test_forgets_the_oldest_of_too_many(quarantine):
    for value in (1.0, 2.0, 3.0):
        quarantine.add(make_request(value))
    assert [quarantine.holds(make_request(value)) for value in (1.0, 2.0, 3.0)] == [False, True, True]
