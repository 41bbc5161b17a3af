import numpy as np

from training.release.extreme_rows import make_extreme_rows


def extremes(kind, array, **rule):
    return make_extreme_rows({"x": array}, [{"name": "x", **rule}], 2)[kind]["x"]


def test_floats_go_far_beyond_what_was_seen_but_not_out_of_their_range():
    seen = np.array([[0.5, -2.0]], np.float32)
    assert extremes("largest", seen).tolist() == [[2000, 2000]] * 2
    assert extremes("smallest", seen, minimum=-5.0).tolist() == [[-5, -5]] * 2
    assert extremes("huge", seen).dtype == np.float32
    assert extremes("huge", seen.astype(np.float16)).max() == np.finfo(np.float16).max


def test_integers_stay_within_their_range_or_what_was_seen():
    seen = np.array([3, 7])
    assert extremes("largest", seen).tolist() == [7, 7]
    assert extremes("largest", seen, minimum=0, maximum=99).tolist() == [99, 99]
    assert extremes("smallest", seen, minimum=0, maximum=99).tolist() == [0, 0]
    assert extremes("largest", np.array([3], np.uint8)).tolist() == [255, 255]


def test_texts_are_the_shortest_and_the_longest():
    texts = np.array([b"aa", b"b", b"ccc"], object)
    assert extremes("smallest", texts).tolist() == [b"b", b"b"]
    assert extremes("largest", texts).tolist() == [b"ccc", b"ccc"]
    assert list(make_extreme_rows({"x": texts}, [{"name": "x"}], 2)) == ["smallest", "largest"]
