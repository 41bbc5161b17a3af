"""The handler of the models that the tests name as Triton's examples do: texts in and out, and no program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from handlers.base import Decoded, Handler, Outputs


class TextNumbersHandler(Handler):
    """Sum and difference of numbers written as text; with one input, the input."""

    def infer(
        self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str] = ()
    ) -> Outputs:
        names = requested or self.output_names
        if len(self.input_names) == 1:
            (array,) = inputs.values()
            return Outputs(dict.fromkeys(names, array))
        first, second = (inputs[name].astype(np.int64) for name in self.input_names)
        results = dict(zip(self.output_names, (first + second, first - second), strict=True))
        return Outputs({name: _write(results[name]) for name in names})

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        raise NotImplementedError("`infer` does everything")


def _write(numbers: np.ndarray) -> np.ndarray:
    texts = np.empty(numbers.shape, np.object_)
    texts[:] = numbers.astype(str).astype(np.bytes_).tolist()
    return texts
