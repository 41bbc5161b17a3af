import numpy as np
import pytest

from model_store.tensors import encode_raw
from services.gateway.errors import InvalidRequestError
from services.gateway.tensors import InferRequest, NamedTensor
from services.gateway.validation import Validator
from tests.services.gateway.conftest import make_manifest


def tensor(name, array, datatype="FP32"):
    return NamedTensor(name, datatype, array.shape, encode_raw(array))


def request(*inputs, **changes):
    return InferRequest("double", "", "id", list(inputs), **changes)


def numbers(rows=2, value=1.0):
    return np.full((rows, 2), value, np.float32)


@pytest.fixture
def validator():
    return Validator(make_manifest(), max_rows=16)


def refusal(validator, *inputs, **changes):
    with pytest.raises(InvalidRequestError) as caught:
        validator.check(request(*inputs, **changes))
    return str(caught.value)


def test_counts_rows_and_puts_inputs_into_the_manifests_order(validator):
    checked = request(tensor("weight", np.ones(3, np.float32)), tensor("x", numbers(3)))
    assert validator.check(checked) == 3
    assert [item.name for item in checked.inputs] == ["x", "weight"]


def test_refuses_unknown_inputs_and_names_the_sets(validator):
    text = refusal(validator, tensor("z", numbers()))
    assert "no input 'z'" in text
    assert "x (FP32 [N, 2])" in text
    assert "or text (BYTES [N])" in text


def test_refuses_inputs_that_do_not_go_together(validator):
    texts = np.array([b"a", b"b"], np.object_)
    assert "do not go together" in refusal(validator, tensor("x", numbers()), tensor("text", texts, "BYTES"))
    assert "do not go together" in refusal(validator, tensor("weight", np.ones(2, np.float32)))
    assert "do not go together" in refusal(validator)


def test_refuses_an_input_given_twice(validator):
    assert "twice" in refusal(validator, tensor("x", numbers()), tensor("x", numbers()))


def test_refuses_another_datatype_and_says_which_is_wanted(validator):
    assert "is FP64; it must be FP32: two numbers" in refusal(validator, tensor("x", np.ones((2, 2)), "FP64"))


@pytest.mark.parametrize("shape", [(2, 3), (2,), (2, 2, 1), ()])
def test_refuses_other_shapes(validator, shape):
    assert "it must be [N, 2]" in refusal(validator, NamedTensor("x", "FP32", shape, bytes(4 * int(np.prod(shape)))))


def test_refuses_inputs_with_different_numbers_of_rows(validator):
    text = refusal(validator, tensor("x", numbers(2)), tensor("weight", np.ones(3, np.float32)))
    assert "3 rows where another input has 2" in text


@pytest.mark.parametrize("rows", [0, 17])
def test_refuses_too_many_rows_or_none_and_names_the_limit(validator, rows):
    text = refusal(validator, tensor("x", numbers(rows)))
    assert f"has {rows} rows; a request may have 1 to 16" in text
    assert "(4 fit into one batch)" in text


def test_refuses_contents_of_another_size(validator):
    assert "takes 16 bytes, got 12" in refusal(validator, NamedTensor("x", "FP32", (2, 2), bytes(12)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_refuses_values_that_are_not_finite_and_says_where(validator, value):
    array = numbers()
    array[1, 0] = value
    assert "1 values that are NaN or infinite, the first at position 2" in refusal(validator, tensor("x", array))


@pytest.mark.parametrize("value", [-101.0, 100.5])
def test_refuses_values_out_of_range(validator, value):
    assert f"has the value {value:g}; the range is -100 to 100" in refusal(validator, tensor("x", numbers(2, value)))


def test_takes_nan_where_the_manifest_allows_it():
    inputs = ({"name": "x", "datatype": "FP32", "shape": (-1, 2), "meaning": "any", "finite": False},)
    validator = Validator(make_manifest(inputs=inputs, input_sets=(("x",),)), max_rows=4)
    assert validator.check(request(tensor("x", numbers(1, np.nan)))) == 1


def test_takes_free_dimensions_of_any_size_but_zero():
    inputs = ({"name": "x", "datatype": "UINT8", "shape": (-1, -1, 3), "meaning": "pixels"},)
    validator = Validator(make_manifest(inputs=inputs, input_sets=(("x",),)), max_rows=4)
    assert validator.check(request(NamedTensor("x", "UINT8", (2, 5, 3), bytes(30)))) == 2
    assert "it must be [N, any, 3]" in refusal(validator, NamedTensor("x", "UINT8", (2, 0, 3), b""))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x01\x00", "4-byte length is missing"),
        (b"\x05\x00\x00\x00abc", "claims 5 bytes, 3 are left"),
        (b"\x01\x00\x00\x00abc", "2 bytes are left after the last"),
        (b"\x09\x00\x00\x00123456789", "has an element of 9 bytes; at most 8 are taken"),
    ],
)
def test_refuses_broken_or_long_bytes_elements(validator, data, words):
    assert words in refusal(validator, NamedTensor("text", "BYTES", (1,), data))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"topk": 1}, "no parameter 'topk'; this model's parameters: top_k, gain, mode, flip"),
        ({"top_k": 0}, "the range is 1 to 5"),
        ({"top_k": 1.5}, "must be a whole number (int64)"),
        ({"top_k": True}, "must be a whole number (int64)"),
        ({"gain": float("nan")}, "must be finite"),
        ({"mode": "medium"}, "one of fast, slow"),
        ({"flip": 1}, "must be true or false (bool)"),
    ],
)
def test_refuses_parameters_that_the_manifest_does_not_allow(validator, parameters, words):
    assert words in refusal(validator, tensor("x", numbers()), parameters=parameters)


def test_takes_parameters_of_the_right_kind(validator):
    parameters = {"top_k": 5, "gain": 2, "mode": "fast", "flip": True}
    assert validator.check(request(tensor("x", numbers()), parameters=parameters)) == 2


def test_refuses_unknown_and_repeated_outputs(validator):
    assert "no output 'z'" in refusal(validator, tensor("x", numbers()), outputs=("z",))
    assert "requested twice" in refusal(validator, tensor("x", numbers()), outputs=("y", "y"))


def sized(low, high, **changes):
    ranges = ({"axis": 1, "minimum": low, "maximum": high, "name": "length"},)
    fields = {"datatype": "INT64", "shape": (-1, -1), "meaning": "numbers of words", "size_ranges": ranges}
    return fields | changes


def test_refuses_sizes_that_the_program_was_not_exported_for():
    inputs = (sized(2, 64, name="tokens"),)
    validator = Validator(make_manifest(inputs=inputs, input_sets=(("tokens",),)), max_rows=4)
    assert validator.check(request(NamedTensor("tokens", "INT64", (1, 64), bytes(64 * 8)))) == 1
    for length in (1, 65):
        text = refusal(validator, NamedTensor("tokens", "INT64", (1, length), bytes(length * 8)))
        assert f"input tokens has shape [1, {length}]; its dimension 1 may be 2 to 64" in text


def test_refuses_inputs_whose_common_dimension_differs():
    inputs = (sized(1, None, name="tokens"), sized(1, None, name="mask"))
    validator = Validator(make_manifest(inputs=inputs, input_sets=(("tokens", "mask"),)), max_rows=4)
    tokens = NamedTensor("tokens", "INT64", (1, 5), bytes(40))
    assert validator.check(request(tokens, NamedTensor("mask", "INT64", (1, 5), bytes(40)))) == 1
    text = refusal(validator, tokens, NamedTensor("mask", "INT64", (1, 6), bytes(48)))
    assert "its dimension 1 must be 5, as tokens's is" in text
