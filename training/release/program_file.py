"""Read a program that torch.export.save wrote, without running what its file says.

`torch.export.load` (torch 2.13) runs code of a file's maker in more ways than one: it unpickles weights, constants and
example inputs that are marked as pickled, loads compiled libraries, evaluates size expressions, resolves operators to
any function that hangs below the module `torch` (`torch.os.system`), and makes Python source of names. What an honest
program needs of this is little, and is all that passes here.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.pt2_archive import PT2ArchiveReader

_FILES = re.compile(
    r"models/model\.json|data/weights/[\w.]+|data/constants/[\w.]+|data/sample_inputs/model\.pt|extra/.*"
    r"|archive_format|archive_version|version|byteorder|\.data/\w+"
)
_TENSOR_FILES = re.compile(r"(weight|tensor)_\d+")
_OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims|quantized_decomposed|torchvision)\.(?!from_file|save|load)\w+(\.\w+)?"
    r"|torch\.ops\.higher_order\.(cond|while_loop|scan|map_impl|associative_scan"
    r"|wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|pos|eq|ne|le|ge|lt|gt|and_|or_|not_|getitem)"
    r"|math\.(ceil|floor|trunc|sqrt)|torch\.(_sym_sqrt|sym_\w+)"
)
# Names without brackets, blanks or quotes: as Python source they do nothing.
_PLAIN = re.compile(r"[\w.+:/@<>-]*")
_EXPRESSION = re.compile(r"(?:'[a-z]\w*'|\d+(?:\.\d+)?|[A-Za-z]\w*|[-+*/%()<>=!&|~, ])*")
_EXPRESSION_WORDS = frozenset(
    [
        *("Symbol", "Integer", "Float", "Rational", "positive", "integer", "nonnegative", "real", "finite"),
        *(
            "True",
            "False",
            "true",
            "false",
            "oo",
            "int_oo",
            "Add",
            "Mul",
            "Pow",
            "Max",
            "Min",
            "Mod",
            "And",
            "Or",
            "Not",
        ),
        *("Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality", "StrictLessThan", "StrictGreaterThan"),
        *("LessThan", "GreaterThan", "FloorDiv", "ModularIndexing", "Where", "PythonMod", "CleanDiv", "CeilToInt"),
        *("FloorToInt", "CeilDiv", "LShift", "RShift", "PowByNatural", "FloatPow", "FloatTrueDiv", "IntTrueDiv"),
        *("IsNonOverlappingAndDenseIndicator", "TruncToFloat", "TruncToInt", "RoundToInt", "RoundDecimal"),
        *("ToFloat", "Identity"),
    ]
)
_UNREAD = ("metadata", "guards_code", "stack_trace", "range_constraints")  # not evaluated, or not used after loading


class UntrustedError(ValueError):
    """A file holds what could run its maker's code."""


def load_program_file(path: Path, *, is_trusted: bool = False) -> ExportedProgram:
    """Load a saved program; `is_trusted` lets its file do what it wants.

    Raises:
        ValueError: there is no such file, or it is no saved program.
        UntrustedError: it holds more than tensors and known operators.
    """
    if not path.is_file():
        raise ValueError(
            f"{path} does not exist; save a program there: torch.export.save(torch.export.export(...), {str(path)!r})"
        )
    refusal = f"{path} is not a program saved by torch.export.save of torch {torch.__version__}"
    content = path.read_bytes()  # once: what was checked is what is loaded
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ValueError(refusal)
    try:
        if not is_trusted:
            _refuse_code(content)
        with _quiet_loader():
            program = torch.export.load(io.BytesIO(content))
    except UntrustedError as error:
        raise UntrustedError(
            f"{path} could run code of whoever made it on this machine: {error}. If you trust them, say --trust"
        ) from None
    except Exception as error:
        raise ValueError(f"{refusal}: {error}") from error
    program._guards_code = []  # Python source, which module() would evaluate
    return program


def _refuse_code(content: bytes) -> None:
    archive = PT2ArchiveReader(io.BytesIO(content))
    names = archive.get_file_names()
    for name in names:
        if not _FILES.fullmatch(name):
            raise UntrustedError(f"it holds the file {name}")
    if "models/model.json" not in names:  # else torch.export.load would go on to an older format, which is pickled
        raise ValueError("it holds no models/model.json")
    for kind in ("weights", "constants"):
        _check_payloads(json.loads(archive.read_string(f"data/{kind}/model_{kind}_config.json")))
    example_inputs = archive.read_bytes("data/sample_inputs/model.pt")
    try:
        if example_inputs:
            torch.load(io.BytesIO(example_inputs), weights_only=True)
    except Exception as error:
        raise UntrustedError("its example inputs are pickled objects, not tensors") from error
    _check_strings("", json.loads(archive.read_string("models/model.json")))


def _check_payloads(config: Any) -> None:
    for name, payload in config["config"].items():
        if payload["use_pickle"] or not _TENSOR_FILES.fullmatch(payload["path_name"]):
            raise UntrustedError(f"{name} is a pickled object")


def _check_strings(key: str, value: Any) -> None:
    """Check every string below a value of the program's JSON by the key that it stands under."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name not in _UNREAD:
                if not _PLAIN.fullmatch(name):
                    raise UntrustedError(f"it uses the name {name!r}")
                _check_strings(name, part)
    elif isinstance(value, list):
        for part in value:
            _check_strings(key, part)
    elif isinstance(value, str):
        _check_string(key, value)


def _check_string(key: str, text: str) -> None:
    if key in ("target", "as_operator"):
        if not _OPERATORS.fullmatch(text):
            raise UntrustedError(f"it calls {text!r}, which is not among the known operators")
    elif key == "expr_str":
        words = re.findall(r"(?<!')\b[A-Za-z_]\w*", text)
        if not _EXPRESSION.fullmatch(text) or not _EXPRESSION_WORDS.issuperset(words):
            raise UntrustedError(f"a size is the expression {text!r}")
    elif key in ("in_spec", "out_spec"):
        # Enumerations and default factories are imported by name; an input's name becomes an argument in source.
        if "__enum__" in text or "defaultdict" in text or (key == "in_spec" and not _is_plain(json.loads(text))):
            raise UntrustedError(f"its {key} is {text!r}")
    elif key not in ("as_string", "as_strings") and not _PLAIN.fullmatch(text):
        raise UntrustedError(f"it uses the name {text!r}")


def _is_plain(value: Any) -> bool:
    """Say whether all names below a tree's description are plain; contexts are JSON in JSON."""
    if isinstance(value, dict):
        return _is_plain([*value.keys(), *value.values()])
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, str) and value[:1] in ("[", "{"):
        return _is_plain(json.loads(value))
    return not isinstance(value, str) or _PLAIN.fullmatch(value) is not None


@contextlib.contextmanager
def _quiet_loader() -> Iterator[None]:
    """Keep the loader's own words about a file that it cannot read out of ours."""
    logger = logging.getLogger("torch.export")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
