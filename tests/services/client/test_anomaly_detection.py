"""`detect_anomalies` and `infer anomaly_detector` against a stand-in for the server's side of the conversation."""

import json
import sys

import numpy as np
import pytest

from services.client import AsyncClient, Client, cli
from services.client.anomaly_detection import detect_anomalies


def answer(request, inputs):
    """Each signal's greatest sample is its deviation, held to 3 or what was sent; one with a gap fails."""
    signals = inputs["signal"]
    has_gap = np.isnan(signals).any(1)
    deviation = np.where(has_gap, 0, signals.max(1)).astype(np.float32)
    sent = request.parameters.get("threshold")
    return {
        "reconstruction": np.zeros(signals.shape, np.float32),
        "deviation": deviation,
        "unusual": deviation > (3 if sent is None else sent.double_param),
        "row_errors": np.array([b"a gap" if gap else b"" for gap in has_gap], np.object_),
    }


def describe(response):
    response.properties["kind"] = "anomaly_detector"
    response.inputs.add(name="signal", datatype="FP32", shape=[-1, 4])
    response.outputs.add(name="reconstruction", datatype="FP32", shape=[-1, 4])
    for name, datatype in (("deviation", "FP32"), ("unusual", "BOOL")):
        response.outputs.add(name=name, datatype=datatype, shape=[-1])


@pytest.fixture
def detector(server):
    server.answers["anomaly_detector"], server.descriptions["anomaly_detector"] = answer, describe
    return server


def test_the_last_samples_of_each_signal_go_in_several_calls(detector):
    with Client(detector.url) as client:
        found = client.perform(detect_anomalies([np.arange(6.0) - row for row in range(70)]))
    assert sorted(request.inputs[0].shape[0] for request in detector.requests) == [6, 64]
    assert [each.deviation for each in found] == [5 - row for row in range(70)]
    assert [each.is_unusual for each in found] == [True, True] + 68 * [False]


async def test_it_is_awaitable_and_takes_another_threshold(detector):
    async with AsyncClient(detector.url) as client:
        (found,) = await client.perform(detect_anomalies({"a": np.array([1.0, 2, 1, 0])}, threshold=1.5))
    assert (found.deviation, found.is_unusual, found.error) == (2, True, "")


def test_a_model_that_detects_nothing_is_refused(detector):
    with (
        Client(detector.url) as client,
        pytest.raises(ValueError, match="double detects nothing: it is no anomaly detector"),
    ):
        client.perform(detect_anomalies([np.ones(4)], model="double"))


def test_the_command_names_unusual_signals_and_says_why_one_failed(detector, monkeypatch, capsys, tmp_path):
    (tmp_path / "a.csv").write_text("calm,wild,gap\n1,1,1\n1,9,\n1,1,1\n1,1,1\n")

    def infer(*options):
        arguments = ["infer", "anomaly_detector", str(tmp_path / "a.csv"), *options, "--url", detector.url]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        assert exit_.value.code == 1
        return capsys.readouterr().out

    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in infer().splitlines() if "│" in line]
    assert lines == [["calm", "1.00", ""], ["wild", "9.00", "yes"], ["gap", "a gap", ""]]
    calm, wild, gap = json.loads(infer("--json", "--threshold", "10"))
    assert (wild["signal"], wild["deviation"], wild["unusual"], wild["reconstruction"]) == ("wild", 9, False, [0] * 4)
    assert (gap["reconstruction"], gap["error"], calm["error"]) == ([], "a gap", "")
