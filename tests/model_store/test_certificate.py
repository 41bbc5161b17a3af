import pytest

from model_store.certificate import BatchTime, Setup, find_certificate, interpolate
from model_store.signing import VerificationError
from tests import builders


@pytest.fixture
def release(store):
    return builders.publish_release(store)


def test_a_certificate_is_read_with_its_release_and_replaced_by_a_newer_one(store, release):
    assert release.certificates == ()
    path = store.certify(builders.make_certificate(release))
    assert path.parent == release.folder
    newer = builders.make_certificate(release, rows_per_s=500.0)
    assert store.certify(newer) == path
    other = builders.make_certificate(release, host=builders.make_host_class(cores=8))
    store.certify(other)
    assert set(store.open("net", 1).certificates) == {newer, other}


def test_a_certificate_that_was_changed_does_not_verify(store, release):
    path = store.certify(builders.make_certificate(release))
    path.write_text(path.read_text().replace("700.0", "900.0"))
    with pytest.raises(VerificationError, match="was changed after it was signed"):
        store.open("net", 1)


def test_a_certificate_without_a_signature_does_not_verify(store, release):
    path = store.certify(builders.make_certificate(release))
    path.with_name(f"{path.name}.sig").unlink()
    with pytest.raises(VerificationError, match=r"json\.sig is missing"):
        store.open("net", 1)


def test_a_certificate_of_another_release_is_refused_where_it_was_moved_to(store, release):
    path = store.certify(builders.make_certificate(release))
    second = builders.publish_release(store)
    for name in (path.name, f"{path.name}.sig"):
        (second.folder / name).write_bytes((path.parent / name).read_bytes())
    with pytest.raises(VerificationError, match="certifies net 1: it was moved here"):
        store.open("net", 2)


def test_what_was_measured_of_another_manifest_is_not_signed(store, release):
    with pytest.raises(VerificationError, match="another manifest of int8"):
        store.certify(builders.make_certificate(release, manifest="0" * 64))
    assert store.open("net", 1).certificates == ()


def test_a_copy_of_a_release_holds_its_certificates(store, release, tmp_path):
    store.certify(builders.make_certificate(release))
    assert store.copy("net", 1, tmp_path / "other").certificates == (builders.make_certificate(release),)


def test_a_certificate_speaks_of_one_variant_on_one_class_of_host_in_one_setup(release):
    certificate = builders.make_certificate(release)
    host, setup = builders.make_host_class(), Setup(workers=1, threads=1)
    assert find_certificate([certificate], "int8", host=host, setup=setup) is certificate
    assert find_certificate([certificate], "eager", host=host, setup=setup) is None
    assert find_certificate([certificate], "int8", host=builders.make_host_class(cores=4), setup=setup) is None
    assert find_certificate([certificate], "int8", host=host, setup=Setup(workers=1, threads=2)) is None


@pytest.mark.parametrize(("rows", "ms"), [(1, 2), (4.5, 5.5), (8, 9), (10, 11), (64, 11.67), (0.001, 1.75)])
def test_batches_of_other_sizes_lie_on_the_line_between_those_that_were_measured(release, rows, ms):
    assert 1e3 * builders.make_certificate(release).predict_batch_s(rows) == pytest.approx(ms, abs=0.01)


@pytest.mark.parametrize(
    ("points", "at", "s"),
    [
        ([(8.0, 0.03), (10.0, 0.02)], 64, 0.02),  # the larger was quicker by chance
        ([(1.0, 0.001), (1.5, 0.03)], 64, 0.04),  # in proportion to its rows at most
        ([(6.0, 0.01)], 64, 0.01),
    ],
)
def test_what_two_noisy_sizes_say_is_not_drawn_out_beyond_them(points, at, s):
    assert interpolate(points, at) == pytest.approx(s)


def test_batch_times_ascend(release):
    times = [BatchTime(rows=rows, seconds=0.1, deviation_s=0, calls=9) for rows in (4, 2)]
    with pytest.raises(ValueError, match="must ascend by rows"):
        builders.make_certificate(release, batch_times=times)


def test_a_host_class_has_one_short_name(release):
    first, second = builders.make_host_class(), builders.make_host_class(cores=3)
    assert first.id == builders.make_host_class().id != second.id
    assert str(first) == "2 cores of x86_64 with AVX2"
