import pytest

from services.gateway.call_parameters import apply_call_parameters
from services.gateway.errors import InvalidRequestError
from services.gateway.tensors import InferRequest


def test_takes_out_what_is_for_the_server_and_leaves_what_is_for_the_model():
    request = InferRequest("m", "", "id", [], parameters={"priority": 1, "top_k": 2})
    apply_call_parameters(request)
    assert (request.priority, request.parameters) == (1, {"top_k": 2})


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"timeout": 0}, "timeout is 0; the range is 1 to ∞: microseconds"),
        ({"timeout": "soon"}, "timeout is 'soon'; it must be a whole number"),
        ({"priority": -1}, "priority is -1; the range is 0 to ∞: 1 is the most urgent"),
        ({"priority": True}, "priority is True; it must be a whole number"),
    ],
)
def test_says_what_is_wrong_with_them(parameters, words):
    with pytest.raises(InvalidRequestError, match=words):
        apply_call_parameters(InferRequest("m", "", "id", [], parameters=parameters))
