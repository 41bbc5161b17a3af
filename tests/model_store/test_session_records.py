import pytest

from model_store.session_records import Kind, Record, RecordReader, encode_record, leave_rows, rows_left

RECORDS = [Record(7, Kind.PART, b"abc", 2), Record(2**63, Kind.LEAVE), Record(9, Kind.FAILED, b"x" * 300)]


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_records_are_read_from_pieces_of_any_size(size):
    data, reader, found = b"".join(map(encode_record, RECORDS)), RecordReader(), []
    for start in range(0, len(data), size):
        found += reader.feed(data[start : start + size])
    assert found == RECORDS


def test_rows_that_left_are_those_that_were_named():
    (record,) = RecordReader().feed(encode_record(leave_rows(17, 3, 4)))
    assert (record.key, list(rows_left(record))) == (17, [3, 4, 5, 6])


def test_a_record_of_no_known_kind_is_refused():
    with pytest.raises(ValueError, match="99"):
        RecordReader().feed(encode_record(Record(1, 99)))
