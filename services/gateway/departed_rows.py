"""Rows whose callers leave while a worker computes them: it is told, where its handler can stop."""

from __future__ import annotations

from collections.abc import Sequence

from model_store.session_records import encode_record, leave_rows
from services.catalogue import ServedVariant
from services.gateway.backends import Backend
from services.gateway.numbers import count_up
from services.gateway.waiting import Job


class DepartedRows:
    """The numbers of one version's calls, and where each job's rows are in its call."""

    def __init__(self, variant: ServedVariant, backend: Backend) -> None:
        self._variant, self._backend = variant, backend
        self._numbers = count_up()

    def begin(self, batch: Sequence[Job]) -> int:
        """Number a call that is about to be made."""
        call, first = next(self._numbers), 0
        for job in batch:
            job.place = (call, first)
            first += job.num_rows
        return call

    def end(self, batch: Sequence[Job]) -> None:
        """Forget a call that has been answered or has failed."""
        for job in batch:
            job.place = None

    def tell(self, job: Job) -> None:
        """Tell the workers that nobody waits for a job any longer; one of them may be computing it."""
        if job.place is not None:
            call, first = job.place
            self._backend.tell(self._variant, encode_record(leave_rows(call, first, job.num_rows)))
