import threading
import time

from host.exclusion import alone_in, together_in


def test_the_second_waits_until_the_first_has_left(tmp_path):
    seen = []

    def come_second():
        with alone_in(tmp_path):
            seen.append("second")

    with alone_in(tmp_path):
        second = threading.Thread(target=come_second)
        second.start()
        second.join(0.1)
        seen.append("first leaves")
    second.join(10)
    assert seen == ["first leaves", "second"]


def test_one_of_several_is_alone_once_the_others_have_left_or_wait_for_the_same(tmp_path):
    seen, told, have_left = [], [], threading.Event()

    def work(name):
        with together_in(tmp_path, lambda: told.append(name)) as alone:
            both_here.wait(10)
            with alone():
                seen.append(f"{name} begins")
                assert have_left.is_set()
                time.sleep(0.05)
                seen.append(f"{name} ends")

    both_here = threading.Barrier(3)
    workers = [threading.Thread(target=work, args=(name,)) for name in ("first", "second")]
    with together_in(tmp_path, lambda: None):
        for worker in workers:
            worker.start()
        both_here.wait(10)
        time.sleep(0.1)
        assert (sorted(told), seen) == (["first", "second"], [])
        have_left.set()
    for worker in workers:
        worker.join(10)
    assert [word.split()[1] for word in seen] == ["begins", "ends"] * 2
