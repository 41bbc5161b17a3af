import io
import json

import numpy as np
import pytest
from PIL import Image

from model_store.example_call import describe_call, example_body, file_input


def texts(*values):
    return np.array([value.encode() for value in values], np.object_)


def tensor(name, datatype, shape, **more):
    return {"name": name, "datatype": datatype, "shape": shape, "meaning": name, **more}


@pytest.fixture
def classifier(make_manifest):
    inputs = [tensor("image", "UINT8", [-1, 8, 6, 1]), tensor("encoded", "BYTES", [-1])]
    return make_manifest("digits", inputs=inputs, input_sets=[["image"], ["encoded"]])


@pytest.fixture
def translator(make_manifest):
    return make_manifest("french", inputs=[tensor("text", "BYTES", [-1])], input_sets=[["text"]])


def test_small_rows_of_numbers_stand_in_the_command(make_manifest):
    call = describe_call(make_manifest(), {"x": np.array([[0.5, 1 / 3, -2, 1e-9]], np.float32)})
    assert call.lines == [
        """curl localhost:8000/v1/net -d '{"inputs": {"x": [[0.5, 0.3333, -2.0, 1e-09]]}}'""",
        "infer net --input 'x=[[0.5, 0.3333, -2.0, 1e-09]]'",
    ]


def test_large_rows_are_fetched_as_a_file(make_manifest):
    manifest = make_manifest(inputs=[tensor("x", "FP32", [-1, 100])])
    examples = {"x": np.ones((3, 100), np.float32)}
    assert describe_call(manifest, examples, rest="h:1", grpc="h:2").lines == [
        "curl -s h:1/v1/net/example -o example.json",
        "curl -T example.json h:1/v1/net",
        "infer net example.json --url h:2",
    ]
    assert json.loads(example_body(manifest, examples).content) == {"inputs": {"x": [[1.0] * 100]}}


def test_a_model_of_image_files_gets_one_of_its_own_images(classifier):
    image = np.arange(48, dtype=np.uint8).reshape(1, 8, 6, 1)
    assert file_input(classifier) == "encoded"
    assert describe_call(classifier, {"image": image}).lines == [
        "curl -s localhost:8000/v1/digits/example -o example.png",
        "curl -T example.png localhost:8000/v1/digits",
        "infer digits example.png",
    ]
    body = example_body(classifier, {"image": image})
    assert body.media_type == "image/png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(body.content))), image[0, :, :, 0])


def test_a_model_of_texts_gets_the_first_that_fits_into_a_command(translator):
    call = describe_call(translator, {"text": texts("long " * 40, "the third of May", "no")})
    assert call.lines == [
        "curl localhost:8000/v1/french -d 'the third of May'",
        "infer french 'the third of May'",
    ]


def test_a_text_that_does_not_fit_into_a_command_comes_from_its_file(translator):
    assert describe_call(translator, {"text": texts("long " * 40)}).lines == [
        "curl -s localhost:8000/v1/french/example -o example.txt",
        "curl -T example.txt localhost:8000/v1/french",
        'infer french "$(cat example.txt)"',
    ]


def test_the_largest_set_of_inputs_that_has_examples_is_shown(make_manifest):
    inputs = [
        tensor("seed", "INT64", [-1]),
        tensor("label", "INT64", [-1]),
        tensor("latent", "FP32", [-1, 99]),
        tensor("snr_db", "FP32", [-1], optional=True),
    ]
    sets = [["seed"], ["seed", "label", "snr_db"], ["latent", "label"]]
    manifest = make_manifest("gan", inputs=inputs, input_sets=sets, usage="--label 7")
    examples = {"seed": np.array([5, 6]), "label": np.array([7, 8]), "snr_db": np.array([np.nan], np.float32)}
    call = describe_call(manifest, examples)
    assert call.curl == """curl localhost:8000/v1/gan -d '{"inputs": {"seed": [5], "label": [7]}}'"""
    assert call.infer == "infer gan --label 7"


def test_without_an_example_the_commands_show_what_the_model_takes(translator, classifier):
    for manifest, examples in ((translator, {"text": np.array([b"\xff"], np.object_)}), (classifier, {})):
        name = manifest.model
        assert describe_call(manifest, examples).lines == [f"curl localhost:8000/v2/models/{name}", f"infer {name}"]
