import threading

from host.exclusion import alone_in


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
