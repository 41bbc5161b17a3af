import gzip

import numpy as np
import pytest

from loadtests.bench.test_set import measure_accuracy, read_test_set
from services.client import Client
from tests.loadtests.conftest import make_manifest
from tests.services.client.open_inference_server import run_server


def write_idx(path, array, *, compress=False):
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    data = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if compress else data)


@pytest.fixture
def images():
    return np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4)


@pytest.mark.parametrize("compress", [False, True])
def test_reads_a_mnist_like_folder(tmp_path, images, compress):
    (tmp_path / "raw").mkdir()
    suffix = ".gz" if compress else ""
    write_idx(tmp_path / "raw" / f"t10k-images-idx3-ubyte{suffix}", images, compress=compress)
    write_idx(tmp_path / "raw" / f"t10k-labels-idx1-ubyte{suffix}", np.array([2, 0, 1]), compress=compress)
    test_set = read_test_set(tmp_path)
    np.testing.assert_array_equal(test_set.images, images[..., None])
    assert test_set.labels.tolist() == [2, 0, 1]


def test_reads_an_npz(tmp_path, images):
    np.savez(tmp_path / "test.npz", image=images[..., None], label=[1, 1, 0])
    assert read_test_set(tmp_path / "test.npz").labels.tolist() == [1, 1, 0]


def test_a_cut_file_is_named(tmp_path, images):
    write_idx(tmp_path / "t10k-images-idx3-ubyte", images)
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"holds 47 values, its header says \[3, 4, 4\]"):
        read_test_set(tmp_path)


def test_a_folder_without_one_says_what_is_wanted(tmp_path):
    with pytest.raises(FileNotFoundError, match="no t10k-images-idx3-ubyte"):
        read_test_set(tmp_path)


def test_accuracy_comes_from_the_served_labels(tmp_path):
    np.savez(tmp_path / "test.npz", image=np.zeros((20, 4, 4, 1), np.uint8), label=[0] * 15 + [1] * 5)
    manifest = make_manifest("int8", model="classifier").model_copy(
        update={"handler_options": {"labels": ["label0", "label1"]}}
    )
    with run_server() as server, Client(server.url) as client:
        accuracy = measure_accuracy(read_test_set(tmp_path / "test.npz"), client, manifest)
        assert [request.inputs[0].shape[0] for request in server.requests] == [8, 8, 4]
    assert accuracy == 0.75
