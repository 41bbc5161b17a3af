"""What TorchServe answers, as the one tree of errors that callers see."""

import asyncio

import pytest

from services.gateway.errors import DeadlineError, InternalError, NotReadyError
from services.torchserve.http_client import HttpClient
from services.torchserve.predictions import Predictions

SECRET = "/secret/path"


@pytest.fixture
async def predict(tmp_path, variant):
    """Call a TorchServe that answers with a status and a text, or not at all."""

    async def call(status, text):
        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            if status:
                writer.write(f"HTTP/1.1 {status} Said\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode())
            await reader.read()
            writer.close()
            await writer.wait_closed()
            answered.set()

        answered = asyncio.Event()
        client = HttpClient(tmp_path / "socket")
        async with await asyncio.start_unix_server(answer, tmp_path / "socket"):
            try:
                return await Predictions(None, client, timeout_s=0.05).predict(variant, b"")
            finally:
                client.close()
                await answered.wait()

    return call


async def test_passes_an_answer_on(predict):
    assert await predict(200, "answer") == b"answer"


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (500, f"Worker died. {SECRET}", NotReadyError),
        (507, "Worker died.", NotReadyError),
        (503, f"Prediction failed {SECRET}", InternalError),
        (0, "", DeadlineError),
    ],
)
async def test_what_failed_decides_the_error_and_inner_text_stays_inside(predict, status, text, error):
    with pytest.raises(error) as caught:
        await predict(status, text)
    assert SECRET not in str(caught.value)
    assert caught.value.cause


async def test_a_torchserve_that_is_gone_may_be_asked_again(tmp_path, variant):
    with pytest.raises(NotReadyError, match="try again in some seconds") as caught:
        await Predictions(None, HttpClient(tmp_path / "socket"), timeout_s=1).predict(variant, b"")
    assert "FileNotFoundError" in caught.value.cause
