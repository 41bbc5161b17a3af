"""Make ordered programs in processes of their own, while what others are made from is still being captured here."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from host.progress import ProgressBar
from training.release.variants import PORTABLE_VARIANTS, Blueprint, load_compiler, make_program


@dataclass(frozen=True, kw_only=True)
class Order:
    """One program to make, and the variants that will hold it in a role; `then` is made from it."""

    role: str
    blueprint: Blueprint
    variants: tuple[str, ...]
    then: Order | None = None

    @property
    def all_variants(self) -> tuple[str, ...]:
        return self.variants + (self.then.all_variants if self.then else ())

    @property
    def num_programs(self) -> int:
        return 1 + (self.then.num_programs if self.then else 0)

    @property
    def is_copy(self) -> bool:
        """Whether it is what was captured, as it is."""
        return self.blueprint.variant == "eager"


def carry_out(
    orders: Sequence[Order], captured: Iterable[str], waiting: deque[Order], left_out: Mapping[str, str]
) -> Iterator[tuple[Order, Future[Path]]]:
    """Make what is ordered, a role's programs once it is `captured`, and what is added to `waiting` by then.

    The processes load the compiler while the first role is captured, and begin with it while the next ones are. One is
    left idle meanwhile, since this process takes a core, too.
    """
    num_programs = sum(order.num_programs for order in orders)
    num_processes = min(num_programs, os.cpu_count() or 1, 4)
    if not num_processes:
        for _ in captured:
            pass
        return
    # Spawned, so that a compiler's crash or memory does not reach this process; two, because most of a build is serial.
    is_compiled = any(order.blueprint.variant not in PORTABLE_VARIANTS for order in orders)
    pool = ProcessPoolExecutor(
        num_processes, multiprocessing.get_context("spawn"), load_compiler if is_compiled else None
    )
    with pool, ProgressBar("making variants", total=num_programs) as bar:
        pool.submit(os.getpid)  # processes start with the first task
        making = _Making(pool, bar, waiting, left_out)
        for role in captured:
            waiting.extend(order for order in orders if order.role == role)
            making.begin(max(1, num_processes - 1))
        while waiting or making.pending:
            making.begin(num_processes)
            yield from making.await_some()


class _Making:
    """What is being made, and what waits for a free process."""

    def __init__(self, pool: Executor, bar: ProgressBar, waiting: deque[Order], left_out: Mapping[str, str]) -> None:
        self._pool, self._bar, self._waiting, self._left_out = pool, bar, waiting, left_out
        self.pending: dict[Future[Path], Order] = {}

    def begin(self, most: int) -> None:
        """Begin with what waits until so many are being made; nothing that only variants left out by then hold.

        No more than there are processes, since the first of several may have to be read for 13 s to see that ONNX has
        no form of it, and the others need not be.
        """
        while self._waiting and len(self.pending) < most:
            order = self._waiting.popleft()
            if {*order.all_variants} <= self._left_out.keys():
                self._bar.advance(order.num_programs, order.blueprint.variant)
            else:
                self.pending[self._pool.submit(make_program, order.blueprint)] = order

    def await_some(self) -> Iterator[tuple[Order, Future[Path]]]:
        """Wait for the next to be done, or to have failed."""
        for made in wait(self.pending, return_when=FIRST_COMPLETED).done:
            order = self.pending.pop(made)
            yield order, made
            self._bar.advance(1, order.blueprint.variant)
