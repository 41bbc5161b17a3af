import numpy as np

from loadtests.measure.answer import show_answer, show_tensor


def test_an_image_is_shown_as_a_picture():
    image = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    picture = show_tensor("image", image).picture
    assert (picture.height, picture.width, picture.channels) == (2, 3, 3)
    np.testing.assert_array_equal(picture.pixels(), image)


def test_texts_are_decoded_and_come_before_numbers():
    answer = show_answer(
        "1-int8",
        {"text": np.array([b"two dogs"], np.object_)},
        {"score": np.array([[-0.5]], np.float32), "translation": np.array([[b"deux chiens"]], np.object_)},
    )
    assert answer.inputs[0].text == "two dogs"
    assert [(item.name, item.text) for item in answer.outputs] == [("translation", "deux chiens"), ("score", "-0.5")]


def test_many_numbers_are_named_by_their_shape():
    shown = show_tensor("precoder", np.arange(12, dtype=np.float32).reshape(3, 4))
    assert shown.text == "3×4 numbers, largest 11: 0, 1, 2, 3, …"


def test_whole_numbers_and_booleans_are_not_rounded():
    assert show_tensor("seed", np.int64(1_234_567)).text == "1234567"
    assert show_tensor("unusual", np.bool_(True)).text == "True"
    shown = show_tensor("ids", np.arange(1_000_001, 1_000_007))
    assert shown.text == "6 numbers, largest 1000006: 1000001, 1000002, 1000003, 1000004, …"
