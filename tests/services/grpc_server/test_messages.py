import tracemalloc

import pytest

from services.grpc_server.messages import PREFIX_BYTES, MessageReader

SIZE = 3_000_000


@pytest.mark.parametrize("first", [1, PREFIX_BYTES, 16_384])
def test_a_large_message_that_came_in_pieces_is_copied_once(first):
    message = bytes(range(256)) * (SIZE // 256)
    data = b"\0" + len(message).to_bytes(4, "big") + message
    reader = MessageReader(2 * SIZE)
    for start in (0, *range(first, len(data), 16_384)):
        reader.feed(data[start : first if start == 0 else start + 16_384])
        assert reader.check() is (reader.size == len(data))
    tracemalloc.start()
    taken = reader.take()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken == (False, message)
    assert reader.size == 0
    assert peak_bytes < 1.1 * len(message)
