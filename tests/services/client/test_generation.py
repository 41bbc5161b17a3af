"""What `generate` and `interpolate` ask a server for, and what they make of its answers."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from model_store.latents import draw_latents
from model_store.open_inference import messages
from model_store.tensors import datatype_of, decode_raw, encode_raw
from services.client.generation import generate, interpolate
from services.client.image_files import arrange_grid


def perform(steps, *, channels=1):
    """Play the server: pixels are the first byte of each row's seed or latent; returns images and requests."""
    requests = []
    wanted = next(steps)
    while True:
        answers = []
        for call in wanted:
            if call.method == "ModelMetadata":
                response = messages().ModelMetadataResponse(name="gan")
                response.inputs.add(name="latent", datatype="FP32", shape=[-1, 5])
                response.inputs.add(name="label", datatype="INT64", shape=[-1])
            else:
                request = messages().ModelInferRequest.FromString(call.body)
                requests.append(request)
                count = request.inputs[0].shape[0]
                images = np.full((count, 4, 6, channels), len(requests), np.uint8)
                response = messages().ModelInferResponse(model_name="gan", model_version="1-bf16")
                response.outputs.add(name="image", datatype=datatype_of(images), shape=images.shape)
                response.raw_output_contents.append(encode_raw(images))
            answers.append(response.SerializeToString())
        try:
            wanted = steps.send(answers)
        except StopIteration as stop:
            return stop.value, requests


def read_inputs(request):
    return {
        tensor.name: decode_raw(raw, tensor.datatype, tuple(tensor.shape))
        for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
    }


def test_images_come_from_consecutive_seeds_in_several_calls():
    images, requests = perform(generate(70, seed=100))
    assert [image.size for image in images] == [(6, 4)] * 70
    assert [image.getpixel((0, 0)) for image in images] == [1] * 32 + [2] * 32 + [3] * 6
    seeds = np.concatenate([read_inputs(request)["seed"] for request in requests])
    np.testing.assert_array_equal(seeds, np.arange(100, 170))
    assert all(list(read_inputs(request)) == ["seed"] for request in requests)
    assert not requests[0].parameters


def test_a_label_goes_by_name_or_by_number_with_every_row():
    _, (request,) = perform(generate(3, label="sneaker", truncation=0.7))
    assert read_inputs(request)["label_name"].tolist() == [b"sneaker"] * 3
    assert request.parameters["truncation"].double_param == 0.7
    _, (request,) = perform(generate(2, label=[4, 9]))
    np.testing.assert_array_equal(read_inputs(request)["label"], [4, 9])


def test_colour_images_stay_in_colour():
    images, _ = perform(generate(1), channels=3)
    assert images[0].mode == "RGB"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"n": 3, "label": [1, 2]}, "one label for all images or 3, got 2"),
        ({"n": 2, "label": [1, "bag"]}, "all numbers or all names"),
    ],
)
def test_what_makes_no_sense_is_refused_before_sending(arguments, message):
    with pytest.raises(ValueError, match=message):
        next(generate(**arguments))


def test_an_interpolation_sends_latents_from_one_seed_to_the_other():
    images, (request,) = perform(interpolate(1, 2, 6, label="bag"))
    assert len(images) == 6
    latents = read_inputs(request)["latent"]
    np.testing.assert_allclose(latents[0], draw_latents([1], 5)[0], atol=1e-6)
    np.testing.assert_allclose(latents[-1], draw_latents([2], 5)[0], atol=1e-6)
    assert read_inputs(request)["label_name"].tolist() == [b"bag"] * 6


def test_an_interpolation_without_a_label_is_of_the_class_that_the_first_seed_draws():
    _, (request,) = perform(interpolate(3, 2, 4))
    inputs = read_inputs(request)
    assert sorted(inputs) == ["latent", "seed"]
    assert inputs["seed"].tolist() == [3] * 4


def test_a_grid_holds_the_images_row_by_row():
    images = [Image.new("L", (6, 4), level) for level in (10, 20, 30)]
    grid = arrange_grid(images, 2)
    assert grid.size == (2 * 8 + 2, 2 * 6 + 2)
    assert [grid.getpixel(place) for place in ((2, 2), (10, 2), (2, 8))] == [10, 20, 30]


def test_diffusion_models_are_told_steps_guidance_and_sampler():
    _, (request,) = perform(generate(2, steps=5, guidance=2, sampler="ddim", model="diffusion"))
    assert request.model_name == "diffusion"
    assert request.parameters["steps"].int64_param == 5
    assert request.parameters["guidance"].double_param == 2.0
    assert request.parameters["sampler"].string_param == "ddim"
    assert set(request.parameters) == {"steps", "guidance", "sampler"}


def test_models_with_styles_are_told_how_near_to_their_own_they_are_to_be():
    _, (request,) = perform(generate(2, closeness=0.5))
    assert {name: value.double_param for name, value in request.parameters.items()} == {"closeness": 0.5}
