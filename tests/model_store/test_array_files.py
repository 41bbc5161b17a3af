import numpy as np
import pytest

from model_store.array_files import read_array


def test_reads_the_array_of_a_file(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    assert read_array(tmp_path / "a.npy").tolist() == [0, 1, 2]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"\x80\x04N."])
def test_what_holds_no_array_is_refused_without_advice_to_run_it(tmp_path, content):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npy is no \.npy file of one array of numbers; numpy.save writes one$"):
        read_array(path)


def test_a_file_of_several_arrays_or_of_objects_is_refused(tmp_path):
    np.savez(tmp_path / "several.npz", a=np.ones(2), b=np.ones(2))
    np.save(tmp_path / "objects.npy", np.array([{}], np.object_), allow_pickle=True)
    for name in ("several.npz", "objects.npy"):
        with pytest.raises(ValueError, match=r"is no \.npy file of one array"):
            read_array(tmp_path / name)


def test_a_file_that_is_not_there_is_told_as_such(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_array(tmp_path / "none.npy")
