"""Answers made of what workers return: whole ones out of parts, and refusals where rows failed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model_store.open_inference import ROW_ERRORS
from model_store.tensors import decode_raw, encode_raw
from services.catalogue import ServedVariant
from services.gateway.batching import Outputs
from services.gateway.errors import InvalidRequestError
from services.gateway.tensors import InferAnswer, InferRequest, NamedTensor

MAX_ERRORS_NAMED = 5


def make_answer(request: InferRequest, variant: ServedVariant, outputs: Outputs) -> InferAnswer:
    """Make the answer, or refuse a request of which rows failed unless it asked for `row_errors`."""
    wants_errors = ROW_ERRORS in request.outputs
    last = outputs[-1]
    if last.name == ROW_ERRORS:
        errors = decode_raw(last.data, "BYTES", last.shape)
        if not wants_errors:
            outputs = outputs[:-1]
            _refuse_failed_rows([error.decode() for error in errors])
    elif wants_errors:
        outputs = [*outputs, _no_errors(last.shape[0])]
    return InferAnswer(variant.model, variant.version, request.id, outputs)


def _refuse_failed_rows(errors: Sequence[str]) -> None:
    failed = [(row, error) for row, error in enumerate(errors) if error]
    if not failed:
        return
    if len(errors) == 1:
        raise InvalidRequestError(errors[0])
    named = "; ".join(f"row {row}: {error}" for row, error in failed[:MAX_ERRORS_NAMED])
    more = f"; and {len(failed) - MAX_ERRORS_NAMED} more" if len(failed) > MAX_ERRORS_NAMED else ""
    raise InvalidRequestError(
        f"{len(failed)} of {len(errors)} rows failed: {named}{more}. Leave them out, or request the output "
        f"{ROW_ERRORS!r} beside the others to get the good rows and the reasons"
    )


def _no_errors(num_rows: int) -> NamedTensor:
    return NamedTensor(ROW_ERRORS, "BYTES", (num_rows,), bytes(4 * num_rows))


def join_outputs(parts: Sequence[Outputs], row_counts: Sequence[int]) -> Outputs:
    """Join the outputs of consecutive groups of rows."""
    if any(outputs[-1].name == ROW_ERRORS for outputs in parts):
        parts = [
            outputs if outputs[-1].name == ROW_ERRORS else [*outputs, _no_errors(num_rows)]
            for outputs, num_rows in zip(parts, row_counts, strict=True)
        ]
    joined = []
    for column in zip(*parts, strict=True):
        first = column[0]
        data = b"".join(tensor.data for tensor in column)
        joined.append(NamedTensor(first.name, first.datatype, (sum(row_counts), *first.shape[1:]), data))
    return joined


def join_bits(bits: Sequence[Outputs]) -> Outputs:
    """Join the bits of one row's answer as a session told them: texts go on, of anything else the newest holds."""
    columns: dict[str, list[NamedTensor]] = {}
    for outputs in bits:
        for tensor in outputs:
            columns.setdefault(tensor.name, []).append(tensor)
    return [_join_texts(column) if column[-1].datatype == "BYTES" else column[-1] for column in columns.values()]


def _join_texts(column: Sequence[NamedTensor]) -> NamedTensor:
    *_, last = column
    if len(column) == 1:
        return last
    texts = np.sum([decode_raw(tensor.data, "BYTES", tensor.shape) for tensor in column], axis=0)
    return NamedTensor(last.name, last.datatype, last.shape, encode_raw(texts))
