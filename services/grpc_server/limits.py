"""What one peer, and all peers together, may make the server hold in memory or do."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of a server.

    Per call: `max_message_bytes`, also of a message when it is decompressed, and `stream_window_bytes`, which may come
    before the method has read any of it.
    Per connection: `connection_window_bytes` likewise, `max_streams` calls at once, `max_header_bytes` and
    `max_headers` in a call's head, and `pause_bytes`: while a peer leaves more than that of its answers unread, no more
    of its calls are started. A peer that sends more than `burst` frames that ask for work and bring none (pings,
    settings, resets of calls that have just begun, empty data), and then more than `burst_per_s`, is cut off.
    Of all connections: `max_received_bytes` of unfinished requests, and `max_unsent_bytes` of answers; above the
    latter, no more calls are started for peers that leave any unread, and those that have read nothing for `stall_s`
    are cut off.
    A connection older than about `max_age_s` takes no more calls (0: none is too old): its peer makes another one, and
    resolves the server's name for it.
    """

    max_message_bytes: int = 4 * MIB
    stream_window_bytes: int = MIB
    connection_window_bytes: int = 16 * MIB
    max_streams: int = 1024
    max_header_bytes: int = 16_384
    max_headers: int = 100
    pause_bytes: int = 4 * MIB
    max_received_bytes: int = 64 * MIB
    max_unsent_bytes: int = 32 * MIB
    stall_s: float = 1.0
    burst: int = 1000
    burst_per_s: float = 100.0
    max_age_s: float = 0.0
