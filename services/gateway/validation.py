"""Check requests against a manifest before anything queues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from model_store.interface import Tensor
from model_store.manifest import Manifest
from model_store.open_inference import ROW_ERRORS
from model_store.parameters import ParameterError, ParameterValue, check_parameter
from model_store.tensors import DTYPES
from services.gateway.errors import InvalidRequestError
from services.gateway.tensors import InferRequest, NamedTensor, check_bytes_elements, count_elements
from services.gateway.values import make_value_rule


class Validator:
    """The rules that one model version's manifest makes."""

    def __init__(self, manifest: Manifest, max_rows: int) -> None:
        self._manifest = manifest
        self._max_rows = max_rows
        self._inputs = {tensor.name: tensor for tensor in manifest.inputs}
        self._order = {tensor.name: index for index, tensor in enumerate(manifest.inputs)}
        self._outputs = {tensor.name for tensor in manifest.outputs} | {ROW_ERRORS}
        self._parameters = {parameter.name: parameter.model_dump() for parameter in manifest.parameters}
        self._trailing = {tensor.name: tensor.shape[1:] for tensor in manifest.inputs}
        self._values = {tensor.name: make_value_rule(tensor) for tensor in manifest.inputs}
        self._has_size_ranges = any(tensor.size_ranges for tensor in manifest.inputs)
        self._known_sets: set[tuple[str, ...]] = set()

    def check(self, request: InferRequest) -> int:
        """Check a request, put its inputs into the manifest's order and return its number of rows.

        Raises:
            InvalidRequestError: says what was wrong, what came and what to do.
        """
        inputs = request.inputs
        names = tuple([tensor.name for tensor in inputs])
        if names not in self._known_sets:
            self._check_names(names)
            inputs.sort(key=lambda tensor: self._order[tensor.name])
        num_rows = inputs[0].shape[0] if inputs[0].shape else 0
        for tensor in inputs:
            rule = self._inputs[tensor.name]
            if tensor.datatype != rule.datatype:
                raise InvalidRequestError(
                    f"input {rule.name} is {tensor.datatype}; it must be {rule.datatype}: {rule.meaning}"
                )
            self._check_shape(tensor, rule, num_rows)
            self._check_contents(tensor, rule)
        if self._has_size_ranges:
            self._check_sizes(inputs)
        if request.parameters:
            self._check_parameters(request.parameters)
        if request.outputs:
            self._check_outputs(request.outputs)
        return num_rows

    def _check_names(self, names: tuple[str, ...]) -> None:
        for name in names:
            if name not in self._inputs:
                raise InvalidRequestError(f"there is no input {name!r}; the inputs are {self._describe_sets()}")
        if len(set(names)) < len(names):
            raise InvalidRequestError(f"an input appears twice in {list(names)}")
        if not any(self._fills(names, wanted) for wanted in self._manifest.input_sets):
            raise InvalidRequestError(f"the inputs {list(names)} do not go together; send {self._describe_sets()}")
        self._known_sets.add(tuple(sorted(names, key=self._order.__getitem__)))

    def _fills(self, names: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
        needed = {name for name in wanted if not self._inputs[name].optional}
        return bool(names) and needed <= set(names) <= set(wanted)

    def _describe_sets(self) -> str:
        described = (
            " and ".join(
                f"{name} ({self._inputs[name].datatype} {_in_words(self._inputs[name].shape)})" for name in names
            )
            for names in self._manifest.input_sets
        )
        return ", or ".join(described)

    def _check_shape(self, tensor: NamedTensor, rule: Tensor, num_rows: int) -> None:
        shape, wanted = tensor.shape, rule.shape
        if not shape or shape[1:] != self._trailing[rule.name]:
            fits = len(shape) == len(wanted) and all(
                size == want or (want == -1 and size > 0) for size, want in zip(shape[1:], wanted[1:], strict=True)
            )
            if not fits:
                raise InvalidRequestError(
                    f"input {rule.name} has shape {list(shape)}; it must be {_in_words(wanted)}: {rule.meaning}"
                )
        if shape[0] != num_rows:
            raise InvalidRequestError(f"input {rule.name} has {shape[0]} rows where another input has {num_rows}")
        if not 1 <= num_rows <= self._max_rows:
            raise InvalidRequestError(
                f"input {rule.name} has {num_rows} rows; a request may have 1 to {self._max_rows} "
                f"({self._manifest.max_rows} fit into one batch): split it into several requests"
            )

    def _check_sizes(self, inputs: Sequence[NamedTensor]) -> None:
        """Check free dimensions: a program run outside the sizes it was exported for may read what is not there."""
        named: dict[str, tuple[str, int]] = {}
        for tensor in inputs:
            rule = self._inputs[tensor.name]
            for sizes in rule.size_ranges:
                size = tensor.shape[sizes.axis]
                if size < sizes.minimum or (sizes.maximum is not None and size > sizes.maximum):
                    high = "∞" if sizes.maximum is None else sizes.maximum
                    raise InvalidRequestError(
                        f"input {rule.name} has shape {list(tensor.shape)}; its dimension {sizes.axis} may be "
                        f"{sizes.minimum} to {high}: {rule.meaning}"
                    )
                other, other_size = named.setdefault(sizes.name, (rule.name, size)) if sizes.name else ("", size)
                if size != other_size:
                    raise InvalidRequestError(
                        f"input {rule.name} has shape {list(tensor.shape)}; its dimension {sizes.axis} must be "
                        f"{other_size}, as {other}'s is: send both in the same size"
                    )

    def _check_contents(self, tensor: NamedTensor, rule: Tensor) -> None:
        count = count_elements(tensor.shape)
        if rule.datatype == "BYTES":
            _check_bytes(tensor, rule, count)
            return
        num_bytes = count * DTYPES[rule.datatype].itemsize
        if len(tensor.data) != num_bytes:
            raise InvalidRequestError(
                f"input {rule.name} of shape {list(tensor.shape)} and datatype {rule.datatype} takes "
                f"{num_bytes} bytes, got {len(tensor.data)}"
            )
        values = self._values[rule.name]
        if values is not None:
            values.check(tensor.data)

    def _check_parameters(self, parameters: Mapping[str, ParameterValue]) -> None:
        for name, value in parameters.items():
            rule = self._parameters.get(name)
            if rule is None:
                known = ", ".join(self._parameters) or "none"
                raise InvalidRequestError(f"there is no parameter {name!r}; this model's parameters: {known}")
            try:
                check_parameter(value, rule)
            except ParameterError as error:
                raise InvalidRequestError(str(error)) from None

    def _check_outputs(self, outputs: tuple[str, ...]) -> None:
        unknown = [name for name in outputs if name not in self._outputs]
        if unknown:
            known = ", ".join(tensor.name for tensor in self._manifest.outputs)
            raise InvalidRequestError(f"there is no output {unknown[0]!r}; the outputs are {known}, and {ROW_ERRORS}")
        if len(set(outputs)) < len(outputs):
            raise InvalidRequestError(f"an output is requested twice in {list(outputs)}")


def _check_bytes(tensor: NamedTensor, rule: Tensor, count: int) -> None:
    try:
        sizes = check_bytes_elements(tensor.data, count)
    except ValueError as error:
        raise InvalidRequestError(
            f"input {rule.name}: {error}; each BYTES element is preceded by its length as 4 bytes, little-endian"
        ) from None
    limit = rule.max_element_bytes
    if limit is not None and max(sizes) > limit:
        raise InvalidRequestError(f"input {rule.name} has an element of {max(sizes)} bytes; at most {limit} are taken")


def _in_words(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join(["N", *("any" if size == -1 else str(size) for size in shape[1:])]) + "]"
