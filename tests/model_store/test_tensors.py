import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.tensors import DTYPES, datatype_of, decode_raw, encode_raw


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BYTES"])
def test_numbers_survive_the_wire(datatype):
    array = np.arange(6).reshape(2, 3).astype(DTYPES[datatype])
    decoded = decode_raw(encode_raw(array), datatype, (2, 3))
    assert decoded.dtype == array.dtype
    np.testing.assert_array_equal(decoded, array)
    assert datatype_of(decoded) == datatype


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_bytes_survive_the_wire(elements):
    array = np.empty(len(elements), np.object_)
    array[:] = elements
    assert decode_raw(encode_raw(array), "BYTES", (len(elements),)).tolist() == elements


def test_text_is_sent_as_utf_8():
    assert decode_raw(encode_raw(np.array(["é"])), "BYTES", (1,)).tolist() == ["é".encode()]


@given(st.binary(max_size=60), st.integers(0, 5))
def test_arbitrary_bytes_decode_or_raise_value_error(data, count):
    try:
        decoded = decode_raw(data, "BYTES", (count,))
    except ValueError:
        return
    assert encode_raw(decoded) == data


@pytest.mark.parametrize(
    ("data", "datatype", "shape", "message"),
    [
        (b"abc", "FP32", (1,), r"FP32 of shape \[1\] takes 4 bytes, got 3"),
        (b"", "BF16", (0,), "unknown datatype 'BF16'"),
        (b"\x05\x00\x00\x00ab", "BYTES", (1,), "claims 5 bytes, 2 are left"),
        (b"\x00\x00\x00", "BYTES", (1,), "4-byte length is missing"),
        (b"\x00\x00\x00\x00x", "BYTES", (1,), "1 bytes after the last of 1 elements"),
    ],
)
def test_says_what_does_not_fit(data, datatype, shape, message):
    with pytest.raises(ValueError, match=message):
        decode_raw(data, datatype, shape)


def test_no_datatype_for_complex_numbers():
    with pytest.raises(ValueError, match="complex64"):
        datatype_of(np.zeros(1, np.complex64))
