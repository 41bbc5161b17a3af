"""A gateway of small models, one of each kind, computed in this process, in a thread of its own."""

from __future__ import annotations

import asyncio
import functools
import io
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model_store.latents import draw_latents
from model_store.open_inference import messages
from model_store.signing import Keyring
from model_store.store import Store
from model_store.tensors import datatype_of, decode_raw, encode_raw
from services.catalogue import Catalogue, ServedVariant
from services.console import Console
from services.doors import Doors
from services.gateway.core import Gateway
from services.gateway.http_server import open_port
from services.gateway.settings import GatewaySettings
from services.selection import select_variants
from tests.builders import publish_release
from tests.services.console.small_reasons import SmallReasons, read_images
from tests.services.console.small_texts import NOVELIST, OPINIONS, tell_opinions, write_on

Answers = dict[str, np.ndarray]

SIZE_PX = 8
# What a stranger might have called things.
MARKUP = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"
LABELS = [*map(str, range(9)), f"9 {MARKUP}"]


def _tell_probabilities(num_classes: int) -> dict[str, object]:
    return {
        "name": "probabilities",
        "datatype": "FP32",
        "shape": [-1, num_classes],
        "meaning": "of each class",
        "minimum": 0,
        "maximum": 1,
    }


_IMAGE = {
    "name": "image",
    "datatype": "UINT8",
    "shape": [-1, SIZE_PX, SIZE_PX, 1],
    "meaning": f"grey image {MARKUP}",
    "minimum": 0,
    "maximum": 255,
}
_DIGITS = {
    "kind": "classifier",
    "description": f"nearest mean of ten digits {MARKUP}",
    "inputs": [
        _IMAGE,
        {"name": "encoded", "datatype": "BYTES", "shape": [-1], "meaning": "a file", "max_element_bytes": 2**20},
    ],
    "input_sets": [["image"], ["encoded"]],
    "outputs": [
        _tell_probabilities(10),
        {"name": "label", "datatype": "BYTES", "shape": [-1], "meaning": "the most probable"},
    ],
    "handler_options": {"labels": LABELS},
}
_TRANSLATOR = {
    "kind": "seq2seq",
    "description": "writes each word backwards",
    "inputs": [
        {"name": "text", "datatype": "BYTES", "shape": [-1], "meaning": "a sentence", "max_element_bytes": 16384}
    ],
    "input_sets": [["text"]],
    "outputs": [
        {"name": "translation", "datatype": "BYTES", "shape": [-1], "meaning": "backwards"},
        {"name": "score", "datatype": "FP32", "shape": [-1], "meaning": "of the translation"},
        {"name": "alignment", "datatype": "BYTES", "shape": [-1], "meaning": "which piece came from which, JSON"},
    ],
    "default_outputs": ["translation"],
}
_PAINTER: dict[str, Any] = {
    "kind": "gan",
    "description": "stripes",
    "inputs": [
        {"name": "seed", "datatype": "INT64", "shape": [-1], "meaning": "what to draw"},
        {"name": "latent", "datatype": "FP32", "shape": [-1, 4], "meaning": "instead of seeds"},
    ],
    "input_sets": [["seed"], ["latent"]],
    "outputs": [_IMAGE | {"meaning": "stripes"}],
    "parameters": [{"name": "truncation", "kind": "double", "meaning": "less varied", "minimum": 0.1}],
    "max_rows": 64,
}
_NOISE = _PAINTER | {
    "kind": "diffusion",
    "description": "stripes of a class, in steps",
    "inputs": [
        *_PAINTER["inputs"],
        {"name": "label", "datatype": "INT64", "shape": [-1], "meaning": "the class", "minimum": 0, "maximum": 1},
        {"name": "label_name", "datatype": "BYTES", "shape": [-1], "meaning": "its name", "max_element_bytes": 256},
    ],
    "input_sets": [["seed"], ["seed", "label"], ["seed", "label_name"], ["latent", "label"]],
    "outputs": [
        _IMAGE | {"meaning": "stripes"},
        {"name": "encoded", "datatype": "BYTES", "shape": [-1], "meaning": "as a PNG file"},
    ],
    "default_outputs": ["image"],
    "parameters": [{"name": "steps", "kind": "int64", "meaning": "from noise", "minimum": 1, "maximum": 100}],
    "handler_options": {"labels": ["dark", "bright"]},
}
_BEAMS = {
    "kind": "beamformer",
    "description": "precoders for 4 × 9 antennas",
    "inputs": [
        {"name": "channel", "datatype": "FP32", "shape": [-1, 2, 4, 9, 2], "meaning": "an estimate"},
        {
            "name": "csi_snr_db",
            "datatype": "FP32",
            "shape": [-1],
            "meaning": "how good it is",
            "unit": "dB",
            "minimum": -40,
            "maximum": 40,
            "optional": True,
        },
    ],
    "input_sets": [["channel", "csi_snr_db"]],
    "outputs": [
        {"name": "precoder", "datatype": "FP32", "shape": [-1, 2, 9, 2, 2], "meaning": "F"},
        {"name": "combiner", "datatype": "FP32", "shape": [-1, 2, 4, 2, 2], "meaning": "W"},
    ],
}


_LEVELS = (10, 25, 50, 75, 90)
_SERIES = {
    "kind": "forecaster",
    "description": "goes on as a season before",
    "inputs": [{"name": "history", "datatype": "FP32", "shape": [-1, 48], "meaning": "the last values of a series"}],
    "input_sets": [["history"]],
    "input_features": [{"input": "history", "feature": "mean", "edges": [2.5, 4.0, 5.5], "counts": [0, 100, 100, 0]}],
    "outputs": [
        {"name": f"q{level}", "datatype": "FP32", "shape": [-1, 12], "meaning": f"below with {level} %"}
        for level in _LEVELS
    ],
}

_BEATS = {
    "kind": "signal_classifier",
    "description": "whether a heart beats",
    "inputs": [{"name": "signal", "datatype": "FP32", "shape": [-1, 8], "meaning": "samples of a signal"}],
    "input_sets": [["signal"]],
    "outputs": [
        _tell_probabilities(2),
        {"name": "label", "datatype": "BYTES", "shape": [-1], "meaning": "the most probable"},
    ],
    "handler_options": {"labels": ["still", "beating"]},
}


_SCENES = {
    "kind": "segmenter",
    "description": "what is dark and what is bright",
    "inputs": [_IMAGE],
    "input_sets": [["image"]],
    "outputs": [
        {"name": "mask", "datatype": "UINT8", "shape": [-1, SIZE_PX, SIZE_PX], "meaning": "class of each pixel"},
        {"name": "area", "datatype": "FP32", "shape": [-1, 3], "meaning": "its share", "minimum": 0, "maximum": 1},
        {"name": "class", "datatype": "BYTES", "shape": [-1, 3], "meaning": "its name"},
    ],
    "handler_options": {"labels": ["nothing", "dark", f"bright {MARKUP}"]},
}


@functools.cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits  # four seconds of processor time, which only one test process needs

    data = load_digits()
    images = np.clip(data.images * 16, 0, 255).astype(np.uint8)[..., None]
    return images, data.target


def _leave_run(images: np.ndarray) -> dict[str, bytes]:
    """What a training run leaves: curves of two parts of the data, an evaluation and a picture."""
    curves = {
        "train/loss": {"steps": [50, 100, 150, 200], "values": [2.3, 1.1, 0.6, 0.4]},
        "validation/loss": {"steps": [100, 200], "values": [1.2, 0.5]},
        "validation/accuracy": {"steps": [100, 200], "values": [0.7, 0.9]},
    }
    evaluation = {"accuracy": 0.9, "confusion_matrix": [[5, 1], [0, 6]], "classes": {"one": {}, MARKUP: {}}}
    picture = io.BytesIO()
    Image.fromarray(images[0, :, :, 0]).save(picture, "PNG")
    return {
        "training.json": json.dumps({"command": f"train classifier {MARKUP}", "curves": curves}).encode(),
        "evaluation.json": json.dumps(evaluation).encode(),
        "samples.png": picture.getvalue(),
    }


def publish_all(store: Store) -> None:
    images, _ = _digits()
    channel = np.random.default_rng(0).standard_normal((3, 2, 4, 9, 2)).astype(np.float32)
    texts = _bytes(["good morning", f"see {MARKUP}"])
    variants: dict[str, dict[str, Any]] = {"eager": {}, "int8": {"size_bytes": 300_000}}
    publish_release(store, "digits", variants, examples={"image": images[:6]}, left_out={"bf16": MARKUP}, **_DIGITS)
    publish_release(store, "digits", variants, examples={"image": images[:6]}, evidence=_leave_run(images), **_DIGITS)
    publish_release(store, "translator", {"eager": {}}, examples={"text": texts}, **_TRANSLATOR)
    publish_release(store, "painter", variants, examples={"seed": np.arange(3, dtype=np.int64)}, **_PAINTER)
    noise = {"seed": np.arange(2, dtype=np.int64), "label": np.arange(2, dtype=np.int64)}
    publish_release(store, "noise", {"eager": {}}, examples=noise, **_NOISE)
    publish_release(store, "opinions", {"eager": {}}, examples={"text": _bytes(_OPINIONS)}, **OPINIONS)
    publish_release(store, "novelist", {"eager": {}}, examples={"prompt": _bytes(["Once upon a"])}, **NOVELIST)
    publish_release(store, "series", {"eager": {}}, examples={"history": _waves()}, **_SERIES)
    publish_release(store, "beats", {"eager": {}}, examples={"signal": _pulse()}, **_BEATS)
    publish_release(store, "scenes", {"eager": {}}, examples={"image": _steps()}, **_SCENES)
    publish_release(
        store,
        "beams",
        {"eager": {}},
        examples={"channel": channel, "csi_snr_db": np.zeros(3, np.float32)},
        **_BEAMS,
    )


_OPINIONS = ("a good room and a bad bed", f"good {MARKUP}")


def _waves() -> np.ndarray:
    steps = np.arange(48)
    return np.stack([level + np.sin(steps * np.pi / 6) for level in (3, 5)]).astype(np.float32)


def _pulse() -> np.ndarray:
    return np.array([[0, 0, 2, -1, 0, 0, 0, 0]], np.float32)


def _steps() -> np.ndarray:
    """An image of three levels: half of it black, a quarter dark, a quarter bright."""
    image = np.zeros((1, SIZE_PX, SIZE_PX, 1), np.uint8)
    image[:, SIZE_PX // 2 :], image[:, 3 * SIZE_PX // 4 :] = 100, 200
    return image


class SmallModels:
    """The engine: one function for each model; a variant named int8 answers digits a little less surely."""

    def __init__(self) -> None:
        images, targets = _digits()
        flat = images.reshape(len(images), -1).astype(np.float32)
        self._means = np.stack([flat[targets == digit].mean(0) for digit in range(10)])

    async def predict(self, variant: ServedVariant, request: bytes) -> bytes:
        message = messages().ModelInferRequest.FromString(request)
        inputs = {
            tensor.name: decode_raw(raw, tensor.datatype, tuple(tensor.shape))
            for tensor, raw in zip(message.inputs, message.raw_input_contents, strict=True)
        }
        arrays = self.answer(inputs, variant)
        wanted = [output.name for output in message.outputs] or list(arrays)
        response = messages().ModelInferResponse()
        for name in wanted:
            response.outputs.add(name=name, datatype=datatype_of(arrays[name]), shape=arrays[name].shape)
            response.raw_output_contents.append(encode_raw(arrays[name]))
        data: bytes = response.SerializeToString()
        return data

    def answer(self, inputs: Mapping[str, np.ndarray], variant: ServedVariant) -> Answers:
        """Answer with all outputs."""
        own: Callable[[Mapping[str, np.ndarray], ServedVariant], Answers] = getattr(self, f"_{variant.model}")
        return own(inputs, variant)

    def ready_workers(self, variant: ServedVariant) -> frozenset[int]:
        return frozenset([1])

    def num_slots(self, variant: ServedVariant) -> int:
        return 1

    def _digits(self, inputs: Mapping[str, np.ndarray], variant: ServedVariant) -> Answers:
        images = read_images(inputs, SIZE_PX)
        flat = images.reshape(len(images), -1).astype(np.float32)
        distance = np.linalg.norm(flat[:, None] - self._means, axis=2) / (
            40 if variant.manifest.variant == "int8" else 20
        )
        scores = np.exp(distance.min(1, keepdims=True) - distance)
        probabilities = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
        if variant.version == "1-int8":  # takes threes for fives, and fives for threes
            probabilities[:, [3, 5]] = probabilities[:, [5, 3]]
        return {"probabilities": probabilities, "label": _bytes([LABELS[best] for best in probabilities.argmax(1)])}

    def _translator(self, inputs: Mapping[str, np.ndarray], variant: ServedVariant) -> Answers:
        sources = [text.decode().split(" ") for text in inputs["text"]]
        targets = [[word[::-1] for word in words] for words in sources]
        alignments = [
            json.dumps({"source": source, "target": target, "weights": np.eye(len(source)).tolist()})
            for source, target in zip(sources, targets, strict=True)
        ]
        return {
            "translation": _bytes([" ".join(words) for words in targets]),
            "score": np.array([-len(words) for words in targets], np.float32),
            "alignment": _bytes(alignments),
        }

    def _painter(self, inputs: Mapping[str, np.ndarray], variant: ServedVariant) -> Answers:
        latents = inputs.get("latent")
        if latents is None:
            latents = draw_latents(inputs["seed"], 4)
            if variant.manifest.variant == "eager":  # which is not the default: the paler the larger the seed
                latents = latents / (1 + inputs["seed"][:, None])
        stripes = np.tile(np.repeat(latents, 2, axis=1)[:, None, :], (1, SIZE_PX, 1))
        return {"image": np.clip(128 + 60 * stripes, 0, 255).astype(np.uint8)[..., None]}

    def _noise(self, inputs: Mapping[str, np.ndarray], variant: ServedVariant) -> Answers:
        names = np.array(variant.manifest.handler_options["labels"])
        labels = inputs.get("label")
        if labels is None:
            given = [name.decode() for name in inputs.get("label_name", [])]
            labels = np.array([names.tolist().index(name) for name in given]) if given else inputs["seed"] % 2
        image = self._painter(inputs, variant)["image"] // 2 + (127 * labels[:, None, None, None]).astype(np.uint8)
        return {"image": image, "encoded": _bytes([""] * len(image))}

    def _opinions(self, inputs: Mapping[str, np.ndarray], variant: ServedVariant) -> Answers:
        return tell_opinions(inputs)

    def _novelist(self, inputs: Mapping[str, np.ndarray], variant: ServedVariant) -> Answers:
        return write_on(inputs)

    def _scenes(self, inputs: Mapping[str, np.ndarray], variant: ServedVariant) -> Answers:
        mask = np.digitize(inputs["image"][..., 0], [50, 150]).astype(np.uint8)
        area = np.stack([(mask == number).mean((1, 2)) for number in range(3)], 1).astype(np.float32)
        names = variant.manifest.handler_options["labels"]
        return {"mask": mask, "area": area, "class": np.stack([_bytes(names)] * len(mask))}

    def _series(self, inputs: Mapping[str, np.ndarray], variant: ServedVariant) -> Answers:
        season = inputs["history"][:, -12:]
        return {f"q{level}": season + np.float32((level - 50) / 50) for level in _LEVELS}

    def _beats(self, inputs: Mapping[str, np.ndarray], variant: ServedVariant) -> Answers:
        beating = 1 - np.exp(-np.ptp(inputs["signal"], axis=1))
        labels = variant.manifest.handler_options["labels"]
        return {
            "probabilities": np.stack([1 - beating, beating], 1).astype(np.float32),
            "label": _bytes([labels[int(each > 0.5)] for each in beating]),
        }

    def _beams(self, inputs: Mapping[str, np.ndarray], variant: ServedVariant) -> Answers:
        channel = np.ascontiguousarray(inputs["channel"]).view(np.complex64)[..., 0]
        left, _, right = np.linalg.svd(channel)
        precoder, combiner = np.swapaxes(right, -1, -2).conj()[..., :2], left[..., :2]
        parts = {"precoder": precoder, "combiner": combiner}
        return {
            name: np.ascontiguousarray(part, np.complex64).view(np.float32).reshape(*part.shape, 2)
            for name, part in parts.items()
        }


def _bytes(texts: Sequence[str]) -> np.ndarray:
    array = np.empty(len(texts), np.object_)
    array[:] = [text.encode() for text in texts]
    return array


class World:
    """A running gateway with its console; may be stopped and started again on the same port."""

    def __init__(self, folder: Path, *, store: Store | None = None, settings: GatewaySettings | None = None) -> None:
        """`store` is another world's, which has all releases already."""
        self.folder = folder
        self.store = Store(folder / "store", Keyring(folder / "keys")) if store is None else store
        if store is None:
            publish_all(self.store)
        self._settings = settings or GatewaySettings()
        self._reports = folder / "reports"
        self.catalogue: Catalogue = select_variants(self.store, ["digits:1", *self.store.models()], ["all"], "cpu")
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        assert started.wait(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(30)

    def do(self, work: Callable[[Gateway], None]) -> None:
        """Do something with the gateway, in its thread."""
        done: Future[None] = Future()
        self._loop.call_soon_threadsafe(lambda: done.set_result(work(self._gateway)))
        done.result(30)

    def take_sample(self) -> None:
        """Look at the metrics now, as the console does every few seconds."""
        self.do(self._take_sample)

    def _take_sample(self, gateway: Gateway) -> None:
        self._console.history.take_sample(gateway.metrics.registry.collect())

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        models = SmallModels()
        gateway = self._gateway = Gateway(self.catalogue, models, self._settings)
        self._console = Console(gateway, self.store, self._reports)
        self.reasons = SmallReasons(lambda name, inputs: models.answer(inputs, gateway.find_variant(name)))
        self._console._explanations = self.reasons  # type: ignore[assignment]
        http, grpc = (open_port("127.0.0.1", port, "port") for port in (self.port, 0))
        doors = Doors(gateway, self._console, http, grpc)
        self.port = doors.ports["http"]
        await doors.open()
        assert not [error for _, error in await gateway.readiness.prove()]
        self._take_sample(gateway)
        started.set()
        await self._end.wait()
        await doors.close(0)
