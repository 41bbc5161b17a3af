"""`forecast` and `infer forecaster` against a stand-in for the server's side of the conversation."""

import csv
import io
import json
import sys

import numpy as np
import pytest

from services.client import AsyncClient, Client, cli
from services.client.forecasting import forecast

LEVELS = ("q10", "q50", "q90")


def answer(request, inputs):
    """Forecast the last value, one less and one more; a history with a gap fails."""
    last = inputs["history"][:, -1:]
    num_steps = request.parameters["horizon"].int64_param if "horizon" in request.parameters else 3
    errors = ["a gap" if np.isnan(row).any() else "" for row in inputs["history"]]
    quantiles = {
        level: np.repeat(last + offset, num_steps, 1) for level, offset in zip(LEVELS, (-1, 0, 1), strict=True)
    }
    return {**quantiles, "row_errors": np.array(errors, np.object_)}


def describe(response):
    response.properties["kind"] = "forecaster"
    response.inputs.add(name="history", datatype="FP32", shape=[-1, 4])
    for level in LEVELS:
        response.outputs.add(name=level, datatype="FP32", shape=[-1, 3])


@pytest.fixture
def forecaster(server):
    server.answers["forecaster"], server.descriptions["forecaster"] = answer, describe
    return server


def test_the_last_values_of_each_series_go_in_several_calls(forecaster):
    series = [np.arange(6) + row for row in range(70)]
    with Client(forecaster.url) as client:
        found = client.perform(forecast(series))
    assert sorted(list(request.inputs[0].shape) for request in forecaster.requests) == [[6, 4], [64, 4]]
    first = max(forecaster.requests, key=lambda request: request.inputs[0].shape[0])
    assert np.frombuffer(first.raw_input_contents[0], np.float32).reshape(64, 4)[1].tolist() == [3, 4, 5, 6]
    assert found.quantiles["q90"][69].tolist() == [75, 75, 75]
    assert (found.errors, found.version) == (("",) * 70, "1-int8")


async def test_it_is_awaitable_too(forecaster):
    async with AsyncClient(forecaster.url) as client:
        found = await client.perform(forecast({"a": np.arange(5)}, horizon=2))
    assert found.quantiles["q50"].tolist() == [[4, 4]]


@pytest.mark.parametrize("values", [np.arange(3), np.ones((4, 4))])
def test_a_series_that_is_too_short_or_no_series_is_refused(forecaster, values):
    with Client(forecaster.url) as client, pytest.raises(ValueError, match=r"b has shape .* takes the last 4 values"):
        client.perform(forecast({"a": np.arange(4), "b": values}))
    assert forecaster.requests == []


def test_a_model_of_another_kind_is_refused(forecaster):
    with Client(forecaster.url) as client, pytest.raises(ValueError, match="double takes no history"):
        client.perform(forecast([np.arange(4)], model="double"))


@pytest.fixture
def infer(forecaster, monkeypatch, capsys):
    def call(*arguments, stdin=""):
        monkeypatch.setattr(sys, "argv", ["infer", "forecaster", *map(str, arguments), "--url", forecaster.url])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return exit_.value.code or 0, capsys.readouterr()

    return call


TABLE = "date,sales,visits\n" + "".join(f"2024-01-0{day},{day},{10 * day}\n" for day in range(1, 7))


def test_the_command_prints_a_table_and_writes_csv(infer, tmp_path):
    (tmp_path / "a.csv").write_text(TABLE)
    status, captured = infer(tmp_path / "a.csv", "--horizon", 2, "--out", tmp_path / "out.csv")
    assert status == 0, captured.err
    lines = [line for line in captured.out.splitlines() if "sales" in line or "visits" in line]
    assert [line.replace("│", " ").split() for line in lines] == [
        ["sales", "1", "5", "6", "7"],
        ["visits", "1", "59", "60", "61"],
    ]
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["series", "step", *LEVELS]
    assert rows[1:] == [
        ["sales", "1", "5", "6", "7"],
        ["sales", "2", "5", "6", "7"],
        ["visits", "1", "59", "60", "61"],
        ["visits", "2", "59", "60", "61"],
    ]


def test_the_command_reads_standard_input_and_arrays(infer, tmp_path):
    status, captured = infer("--json", stdin=TABLE)
    assert status == 0, captured.err
    assert [each["series"] for each in json.loads(captured.out)] == ["sales", "visits"]
    assert json.loads(captured.out)[1]["quantiles"]["q50"] == [60, 60, 60]
    np.save(tmp_path / "a.npy", np.arange(10.0).reshape(2, 5))
    status, captured = infer(tmp_path / "a.npy", "--json")
    assert [each["quantiles"]["q10"][0] for each in json.loads(captured.out)] == [3, 8]


def test_the_command_shows_why_a_series_failed(infer, tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,1\n2,\n3,3\n4,4\n5,5\n")
    status, captured = infer(tmp_path / "a.csv", "--out", tmp_path / "out.csv")
    assert status == 1
    assert "a gap" in captured.out
    assert [line.split(",")[0] for line in (tmp_path / "out.csv").read_text().splitlines()] == ["series", *"aaa"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "a.csv line 3 has 1 cells, the header names 2 columns"),
        ("a\n1\n2\n", "a has shape [2]; the model takes the last 4 values of a series"),
    ],
)
def test_a_table_that_holds_no_series_is_one_line_on_stderr(infer, tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    status, captured = infer(tmp_path / "a.csv")
    assert status == 2
    assert message in captured.err
    assert captured.err.startswith("infer: ")
