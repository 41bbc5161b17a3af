"""Whoever started a training may watch how its validations come out, without every kind passing him on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

# Gets the run's folder, the number of the validation from 1 on, and its score, higher is better.
Observer = Callable[[Path, int, float], None]

_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Tell an observer of each validation of whatever is fitted inside; what it raises ends the fit."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def tell_observer(run: Path, validation: int, score: float) -> None:
    """Tell the observer, if there is one."""
    if observer := _observer.get():
        observer(run, validation, score)
