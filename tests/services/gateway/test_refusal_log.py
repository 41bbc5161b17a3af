from structlog.testing import capture_logs

from services.gateway.errors import OverloadedError, status_of
from services.gateway.refusal_log import LINES_PER_S, RefusalLog
from services.gateway.tensors import InferRequest


def test_a_flood_of_refusals_is_no_flood_of_lines_and_none_is_forgotten(variant):
    now_s = 5.0
    log = RefusalLog(lambda: now_s)
    error = OverloadedError("too much")
    with capture_logs() as lines:
        for number in range(LINES_PER_S + 7):
            log.write(InferRequest("double", "", str(number), []), variant, status_of(error), error)
        now_s = 6.0
        log.write(InferRequest("double", "", "last", []), variant, status_of(error), error)
    assert [line["request"] for line in lines] == [*map(str, range(LINES_PER_S)), "last"]
    assert [line.get("unsaid") for line in lines] == [None] * LINES_PER_S + ["7"]
    assert lines[0] == {
        "event": "refused",
        "log_level": "info",
        "request": "0",
        "variant": "double 3-eager",
        "outcome": "overloaded",
        "why": "too much",
    }
