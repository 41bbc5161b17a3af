import pytest

from host.cpu import choose_threads


@pytest.mark.parametrize(("workers", "cores", "threads"), [(1, 1, 1), (1, 2, 1), (1, 8, 7), (2, 8, 3), (4, 2, 1)])
def test_workers_share_all_cores_but_the_one_that_answers_callers(workers, cores, threads):
    assert choose_threads(workers, cores) == threads
