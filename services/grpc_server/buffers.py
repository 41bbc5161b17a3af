"""What all connections of a server together hold in memory."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

logger = structlog.get_logger("grpc_server")


class Peer(Protocol):
    """A connection, as far as its unsent answers go."""

    unsent_bytes: int
    progress_s: float

    def cut_off(self, why: str) -> None: ...


class Buffers:
    """Counts bytes of requests and answers, and cuts off stalled peers where the answers pass the bound."""

    def __init__(self, max_unsent_bytes: int, stall_s: float) -> None:
        self.received_bytes = 0
        self.unsent_bytes = 0
        self._max_unsent_bytes = max_unsent_bytes
        self._stall_s = stall_s
        self._loop = asyncio.get_running_loop()
        self._peers: set[Peer] = set()
        self._check_is_due = False

    @property
    def is_full(self) -> bool:
        """Whether all peers together leave so much unread that none of them gets more to leave."""
        return self.unsent_bytes > self._max_unsent_bytes

    def note_unsent(self, peer: Peer, unsent_bytes: int) -> None:
        """Take note of what a peer leaves unread."""
        self.unsent_bytes += unsent_bytes - peer.unsent_bytes
        peer.unsent_bytes = unsent_bytes
        if unsent_bytes:
            self._peers.add(peer)
        else:
            self._peers.discard(peer)
        if self.is_full and not self._check_is_due:
            self._check_is_due = True
            self._loop.call_later(self._stall_s / 2, self._check)

    def _check(self) -> None:
        """Cut off the stalled peers that leave most unread, until the rest fits."""
        self._check_is_due = False
        before_s = self._loop.time() - self._stall_s
        stalled = [peer for peer in self._peers if peer.progress_s <= before_s]
        for peer in sorted(stalled, key=lambda peer: peer.unsent_bytes, reverse=True):
            if not self.is_full:
                return
            peer.cut_off(f"{peer.unsent_bytes} bytes of answers were left unread for {self._stall_s:g} s")
        if self.is_full:
            self._check_is_due = True
            self._loop.call_later(self._stall_s / 2, self._check)
