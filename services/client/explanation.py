"""`explain`: why a model answered what it did, by which places of an image, a signal or a text.

A server offers it over REST alone. Dimensions: N rows, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np

from services.client.images import prepare_images
from services.client.inference import ModelMetadata, TensorMetadata
from services.client.rest_client import RestClient
from services.client.rest_wire import encode_rest_request
from services.client.series import stack_series
from services.client.series_files import read_columns


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one input was answered so: `places` float32 count for the answer, less than 0 against it.

    `seen` is what they are places of, as the model takes it: an image uint8 [H, W, C], a signal float32 [L], or pieces
    of a text. `label` and its `probability` are what is explained; of a text that goes on, `text` is. `version` says
    which program was asked, not the one that answers callers.
    """

    name: str
    seen: np.ndarray
    places: np.ndarray
    version: str
    label: str = ""
    probability: float = 0.0
    text: str = ""

    @property
    def kind(self) -> str:
        """What was explained: image, signal or text."""
        if self.seen.dtype == np.object_:
            return "text"
        return "signal" if self.seen.ndim == 1 else "image"


def explain(
    client: RestClient,
    model: str,
    given: Sequence[str],
    *,
    version: str = "",
    label: str = "",
    method: str = "",
    num_steps: int = 32,
) -> list[Explanation]:
    """Ask why each input is answered as it is: files of images, one file of signals (.csv, .npy), or texts.

    `label` is what to explain, the likeliest one if ''; `method` '' is the model's first. `num_steps` are points on the
    path of integrated gradients: more of them bring a sum of places nearer to what it should be.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: the model takes nothing of these or has no such label, or there is no input.
        OSError: a file cannot be read.
    """
    manifest = client.get(f"/api/models/{quote(model)}?{urlencode({'version': version})}")
    labels = tuple(manifest["handler_options"].get("labels", ()))
    names, inputs = _read_inputs(_describe(manifest), given)
    parameters: dict[str, Any] = {"num_steps": num_steps} | ({"method": method} if method else {})
    if label:
        parameters["class"] = _find_label(model, label, labels)
    path = f"/v2/models/{quote(model)}{f'/versions/{quote(version)}' if version else ''}/explain"
    answer = client.post(path, encode_rest_request(inputs, parameters=parameters))
    if "attribution" not in answer.arrays:
        raise ValueError(f"{model} tells itself what it looked at: infer {model} TEXT --plot alignment.png")
    rows = [{key: array[row] for key, array in answer.arrays.items()} for row in range(len(names))]
    return [_read_row(name, row, answer.version, labels, label) for name, row in zip(names, rows, strict=True)]


def _describe(manifest: Mapping[str, Any]) -> ModelMetadata:
    inputs = [TensorMetadata(each["name"], each["datatype"], tuple(each["shape"])) for each in manifest["inputs"]]
    return ModelMetadata(manifest["model"], (), "", tuple(inputs), (), {})


def _read_inputs(described: ModelMetadata, given: Sequence[str]) -> tuple[list[str], dict[str, np.ndarray]]:
    """Make rows of what was given, by what the model takes; also what each row is called."""
    takes = {tensor.name for tensor in described.inputs}
    if "encoded" in takes:
        return list(given), {"encoded": prepare_images(list(given))[1]}
    if "signal" in takes:
        if len(given) != 1:
            raise ValueError(f"give one file of signals, a column for each; got {len(given)}")
        columns = read_columns(given[0])
        return list(columns), {"signal": stack_series(columns, described, "signal", "signal classifier")}
    for name in ("text", "prompt"):
        if name in takes:
            return list(given), {name: np.array([text.encode() for text in given], np.object_)}
    raise ValueError(f"{described.name} takes neither images, signals nor texts: nothing explains it")


def _find_label(model: str, label: str, labels: tuple[str, ...]) -> int:
    if label not in labels:
        raise ValueError(f"{model} knows no {label!r}; its labels are {', '.join(labels) or 'none'}")
    return labels.index(label)


def _read_row(
    name: str, row: Mapping[str, np.ndarray], version: str, labels: tuple[str, ...], label: str
) -> Explanation:
    seen = next(row[key] for key in ("image", "signal", "pieces") if key in row)
    places = row["attribution"]
    if seen.dtype == np.object_:  # the shorter texts are filled up
        written = [bool(piece) for piece in seen]
        seen, places = seen[written], places[written]
    if "probabilities" not in row:
        return Explanation(name, seen, places, version, text=bytes(row["text"]).decode(errors="replace"))
    wanted = labels.index(label) if label else int(row["probabilities"].argmax())
    return Explanation(name, seen, places, version, labels[wanted], float(row["probabilities"][wanted]))
