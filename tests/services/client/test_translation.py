from services.client import Alignment, AsyncClient, Client, Hypothesis
from tests.services.client.open_inference_server import TOO_LONG


def test_one_text_or_many(server):
    with Client(server.url) as client:
        (found,) = client.translate("two dogs")
        many = client.translate(["a", "b"])
    assert (found.text, found.score, found.version, found.error) == ("TWO DOGS", -1.0, "1-int8", "")
    assert [translation.text for translation in many] == ["A", "B"]
    assert "beam_size" not in server.requests[0].parameters


def test_options_travel_as_parameters(server):
    with Client(server.url) as client:
        (found,) = client.translate("two dogs", beam_size=4, num_hypotheses=2, max_length=9)
    parameters = {name: value.int64_param for name, value in server.requests[0].parameters.items()}
    assert parameters == {"beam_size": 4, "num_hypotheses": 2, "max_length": 9}
    assert found.hypotheses == (Hypothesis("TWO DOGS", -1.0), Hypothesis("TWO DOGS!", -2.0))


def test_alignments_come_only_if_asked_for(server):
    with Client(server.url) as client:
        (found,) = client.translate("two dogs", alignments=True)
    words = ("two", "dogs")
    assert found.hypotheses[0].alignment == Alignment(words, words, ((1.0, 0.0), (0.0, 1.0)))
    assert server.requests[0].parameters["alignments"].bool_param


def test_a_failed_text_fails_alone(server):
    with Client(server.url) as client:
        found = client.translate(["a", TOO_LONG.decode()])
    assert [translation.error for translation in found] == ["", "the limit is 9 pieces"]
    assert (found[1].text, found[1].score, found[1].hypotheses) == ("", 0.0, ())


async def test_many_texts_travel_in_several_calls_and_come_back_in_order(server):
    async with AsyncClient(server.url) as client:
        found = await client.translate(f"text {number}" for number in range(70))
    assert [translation.text for translation in found] == [f"TEXT {number}" for number in range(70)]
    assert sorted(request.inputs[0].shape[0] for request in server.requests) == [6, 32, 32]


def test_no_texts_are_no_calls(server):
    with Client(server.url) as client:
        assert client.translate([]) == []
    assert server.requests == []
