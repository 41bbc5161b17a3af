"""One request and its answer in a form that people can look at, whatever kind of model it is."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import numpy as np

from loadtests.measure.recording import Part

MOST_CHARACTERS = 200
MOST_NUMBERS = 4
_CHANNELS = (1, 3)


class Picture(Part):
    """Pixels of one grey or RGB image; `data` are its bytes in base64."""

    height: int
    width: int
    channels: int
    data: str

    def pixels(self) -> np.ndarray:
        """The image as uint8 [height, width, channels]."""
        data = np.frombuffer(base64.b64decode(self.data), np.uint8)
        return data.reshape(self.height, self.width, self.channels)


class Shown(Part):
    """One tensor of one row: a picture, or text."""

    name: str
    text: str = ""
    picture: Picture | None = None


class Answer(Part):
    """What was asked first, and what came back."""

    version: str
    inputs: tuple[Shown, ...]
    outputs: tuple[Shown, ...]


def show_answer(version: str, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> Answer:
    """Make the first row of a request and its answer readable; texts come before numbers."""
    shown = [show_tensor(name, array[0]) for name, array in outputs.items()]
    has_words = [array.dtype == np.object_ for array in outputs.values()]
    ordered = [item for item, _ in sorted(zip(shown, has_words, strict=True), key=lambda pair: not pair[1])]
    return Answer(
        version=version,
        inputs=tuple(show_tensor(name, array[0]) for name, array in inputs.items()),
        outputs=tuple(ordered),
    )


def show_tensor(name: str, row: np.ndarray | bytes) -> Shown:
    """Show one row: uint8 images as pictures, bytes as text, numbers by their shape and first values."""
    array = np.asarray(row)
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] in _CHANNELS:
        height, width, channels = array.shape
        data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
        return Shown(name=name, picture=Picture(height=height, width=width, channels=channels, data=data))
    if isinstance(row, bytes) or array.dtype == np.object_:
        texts = [item.decode(errors="replace") if isinstance(item, bytes) else str(item) for item in array.ravel()]
        return Shown(name=name, text=", ".join(texts)[:MOST_CHARACTERS])
    if array.size == 1:
        return Shown(name=name, text=_write_number(array.item(), 4))
    first = ", ".join(_write_number(value, 3) for value in array.ravel()[:MOST_NUMBERS].tolist())
    shape = "×".join(map(str, array.shape))
    return Shown(name=name, text=f"{shape} numbers, largest {_write_number(array.max().item(), 4)}: {first}, …")


def _write_number(value: float, digits: int) -> str:
    """Round a fraction; a whole number, a seed for one, and a Boolean are what they are."""
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
