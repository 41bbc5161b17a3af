import pytest
from pydantic import ValidationError

from model_store.manifest import Manifest, ReleaseIndex, read_manifest


def test_round_trips_through_json(make_manifest, tmp_path):
    manifest = make_manifest(variant="int8")
    path = tmp_path / "manifest.json"
    path.write_text(manifest.model_dump_json())
    assert read_manifest(path) == manifest
    assert manifest.version == "1-int8"
    assert manifest.input("x").shape == (-1, 4)
    assert manifest.output("nothing") is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "Net!"}, "model"),
        ({"release": 0}, "release"),
        ({"input_sets": [["z"]]}, "input_sets name"),
        ({"default_outputs": ["z"]}, "not all among the outputs"),
        ({"inputs": [{"name": "x", "datatype": "BF16", "shape": [-1], "meaning": ""}]}, "unknown datatype BF16"),
        ({"inputs": [{"name": "x", "datatype": "FP32", "shape": [4], "meaning": ""}]}, "must be -1"),
        (
            {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1], "meaning": "", "size_sets_time": True}]},
            "for BYTES inputs, this one is FP32",
        ),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_refuses_what_makes_no_sense(make_manifest, changes, message):
    with pytest.raises(ValidationError, match=message):
        make_manifest(**changes)


def test_reads_a_manifest_from_before_a_model_had_a_kind(make_manifest):
    now = make_manifest(model="shoes", kind="classifier")
    content = now.model_dump(exclude={"kind"}) | {"handler": "classifier"}
    assert Manifest.model_validate(content) == now


def test_index_needs_an_archive_for_its_default():
    with pytest.raises(ValidationError, match="default variant 'int8' has no archive"):
        ReleaseIndex(
            model="net", release=1, default="int8", archives={"eager": "0"}, manifests={"eager": "0"}, examples="0"
        )


def test_names_the_field_of_a_broken_file(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text('{"format": 1}')
    with pytest.raises(ValueError, match="model"):
        read_manifest(path)
    assert Manifest.model_fields["format"].default == 1


def test_properties_say_in_words_what_tensors_and_parameters_mean(make_manifest):
    manifest = make_manifest(
        inputs=[
            {"name": "x", "datatype": "FP32", "shape": [-1], "meaning": "level", "unit": "dB", "minimum": -40},
            {"name": "w", "datatype": "FP32", "shape": [-1], "meaning": "weight", "maximum": 1, "optional": True},
        ],
        input_sets=[["x", "w"]],
        parameters=[{"name": "k", "kind": "int64", "meaning": "how many", "minimum": 1, "maximum": 5}],
    )
    assert manifest.properties == {
        "kind": "tensor",
        "description": "a net",
        "max_rows": "8",
        "input_sets": "x and w",
        "input.x": "level; at least -40 dB",
        "input.w": "weight; at most 1; may be left out",
        "output.y": "numbers",
        "parameter.k": "int64: how many; 1 to 5",
    }
