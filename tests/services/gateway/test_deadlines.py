import asyncio
from dataclasses import dataclass, field
from time import monotonic

from services.gateway.deadlines import Deadlines
from services.gateway.tensors import InferRequest


@dataclass(eq=False)
class Job:
    in_s: float
    request: InferRequest = field(init=False)

    def __post_init__(self):
        self.request = InferRequest("m", "", "", [], deadline_s=monotonic() + self.in_s)


async def test_each_expires_at_its_own_time_whatever_the_order_they_came_in():
    expired = []
    deadlines = Deadlines(lambda job: expired.append((job, monotonic() - job.request.deadline_s)))
    late, early, gone = Job(0.06), Job(0.02), Job(0.01)
    for job in (late, early, gone):
        deadlines.watch(job)
    deadlines.forget(gone)
    await asyncio.sleep(0.2)
    assert [job for job, _ in expired] == [early, late]
    assert all(after_s > -0.002 for _, after_s in expired)


async def test_one_that_comes_after_all_have_gone_is_watched_as_well():
    expired = []
    deadlines = Deadlines(expired.append)
    for job in (Job(0.001), Job(0.001), Job(-1.0)):
        deadlines.watch(job)
        await asyncio.sleep(0.05)
        assert expired.pop() is job
