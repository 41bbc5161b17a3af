import pytest

from model_store.tuning import FILE_NAME, TuningError, read_tunings, write_tuning
from tests.builders import make_host_class, make_tuning


@pytest.fixture
def root(tmp_path):
    (tmp_path / "net").mkdir()
    return tmp_path


def test_each_class_of_host_has_its_own_tuning_and_the_last_one_counts(root):
    assert read_tunings(root, "net") == ()
    large = make_tuning(host=make_host_class(cores=8))
    write_tuning(root, large)
    write_tuning(root, make_tuning())
    newer = make_tuning(rows_per_s=900.0)
    assert write_tuning(root, newer) == root / "net" / FILE_NAME
    assert read_tunings(root, "net") == (large, newer)


def test_a_damaged_file_is_named_with_its_fault(root):
    path = write_tuning(root, make_tuning())
    path.write_text(path.read_text().replace('"workers": 2', '"workers": 0'))
    with pytest.raises(
        TuningError, match=r"tuning\.json is no tuning: 0\.settings\.workers: .*greater than or equal to 1"
    ):
        read_tunings(root, "net")


def test_a_tuning_of_another_model_is_refused(root):
    (root / "other").mkdir()
    (root / "other" / FILE_NAME).write_bytes(write_tuning(root, make_tuning()).read_bytes())
    with pytest.raises(TuningError, match="is of net; remove it or run `loadtest tune other`"):
        read_tunings(root, "other")
