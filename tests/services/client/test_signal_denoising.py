"""`denoise_signals` and `infer signal_denoiser` against a stand-in for the server's side of the conversation."""

import json
import sys

import numpy as np
import pytest

from services.client import AsyncClient, Client, cli
from services.client.signal_denoising import denoise_signals


def answer(request, inputs):
    """Take the mean off each signal; one with a gap fails."""
    signals = inputs["signal"]
    has_gap = np.isnan(signals).any(1)
    clean = np.where(has_gap[:, None], 0, signals - signals.mean(1, keepdims=True)).astype(np.float32)
    return {"clean": clean, "row_errors": np.array([b"a gap" if gap else b"" for gap in has_gap], np.object_)}


def describe(response):
    response.properties["kind"] = "signal_denoiser"
    response.inputs.add(name="signal", datatype="FP32", shape=[-1, 4])
    response.outputs.add(name="clean", datatype="FP32", shape=[-1, 4])


@pytest.fixture
def denoiser(server):
    server.answers["signal_denoiser"], server.descriptions["signal_denoiser"] = answer, describe
    return server


def test_the_last_samples_of_each_signal_go_in_several_calls(denoiser):
    with Client(denoiser.url) as client:
        found = client.perform(denoise_signals([np.arange(6.0) + row for row in range(70)]))
    assert sorted(request.inputs[0].shape[0] for request in denoiser.requests) == [6, 64]
    np.testing.assert_array_equal(found.values, [[-1.5, -0.5, 0.5, 1.5]] * 70)
    assert found.errors == ("",) * 70


async def test_it_is_awaitable_too(denoiser):
    async with AsyncClient(denoiser.url) as client:
        found = await client.perform(denoise_signals({"a": np.array([1.0, 3.0, 1.0, 3.0])}))
    assert found.values.tolist() == [[-1, 1, -1, 1]]


def test_a_model_that_cleans_nothing_is_refused(denoiser):
    with (
        Client(denoiser.url) as client,
        pytest.raises(ValueError, match="double cleans nothing: it is no signal denoiser"),
    ):
        client.perform(denoise_signals([np.ones(4)], model="double"))


def test_the_command_writes_a_column_for_each_signal_and_says_why_one_failed(denoiser, monkeypatch, capsys, tmp_path):
    (tmp_path / "a.csv").write_text("lead,gap\n5,1\n1,\n1,1\n1,1\n")

    def infer(*options):
        arguments = ["infer", "signal_denoiser", str(tmp_path / "a.csv"), *options, "--url", denoiser.url]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        assert exit_.value.code == 1
        return capsys.readouterr()

    printed = infer()
    assert printed.out.splitlines() == ["lead", "3", "-1", "-1", "-1"]
    assert printed.err.strip() == "gap: a gap"
    assert infer("--out", str(tmp_path / "b.csv")).out == ""
    assert (tmp_path / "b.csv").read_text() == printed.out
    lead, gap = json.loads(infer("--json").out)
    assert (lead["signal"], lead["clean"], lead["error"]) == ("lead", [3, -1, -1, -1], "")
    assert (gap["clean"], gap["error"]) == ([], "a gap")
