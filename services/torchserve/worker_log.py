"""What TorchServe and its workers print, kept by model version: the cause of a worker that does not start."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable

import structlog

from model_store.worker_failure import FAILURE_PREFIX
from services.catalogue import ServedVariant

logger = structlog.get_logger("torchserve")

_DIED = "Backend worker process died."
_NOT_REGISTERED = "Failed to load model"
_WORKER_THREAD = re.compile(r"^W-\d+-(?P<version>.+?)(?:-stdout|-stderr)?$")
_NOISE = ("sun.misc.Unsafe", "WARNING: ")


class WorkerLog:
    """Read TorchServe's output line by line; pass warnings on to our log and remember what each variant said."""

    def __init__(self, variants: Iterable[ServedVariant], num_workers: int) -> None:
        self._num_workers = num_workers
        self._lines: dict[str, deque[str]] = {}
        self._starts: dict[str, int] = {}
        self._died: set[str] = set()
        self._recent: deque[str] = deque(maxlen=40)
        self._registration_failure = ""
        for variant in variants:
            self.add(variant)

    def add(self, variant: ServedVariant) -> None:
        """Remember what one more variant's workers say, from now on."""
        name = _name_in_log(variant)
        self._lines[name] = deque(maxlen=60)
        self._starts[name] = 0
        self._died.discard(name)

    def remove(self, variant: ServedVariant) -> None:
        """Forget a variant."""
        name = _name_in_log(variant)
        self._lines.pop(name, None)
        self._starts.pop(name, None)

    def read_line(self, line: str) -> None:
        """Take one line of `LEVEL|thread|message`, or the continuation of one."""
        self._recent.append(line)
        level, _, rest = line.partition("|")
        thread, separator, message = rest.partition("|")
        match = _WORKER_THREAD.match(thread) if separator else None
        if match and match["version"] in self._lines:
            self._read_worker_line(match["version"], message)
        elif message.startswith(_NOT_REGISTERED):
            self._registration_failure = message
        if level in ("ERROR", "FATAL", "WARN") and separator and not message.startswith(FAILURE_PREFIX):
            logger.warning(message, thread=thread)

    def _read_worker_line(self, version: str, message: str) -> None:
        self._lines[version].append(message)
        if message.startswith("[PID]"):
            self._starts[version] += 1
        elif message == _DIED:
            self._died.add(version)

    def num_starts(self, variant: ServedVariant) -> int:
        """How many worker processes of a variant have been started."""
        return self._starts[_name_in_log(variant)]

    def find_failure(self, only: ServedVariant | None = None) -> str | None:
        """Explain the first worker (of one variant only) that could not start; None while there is none."""
        if self._registration_failure and only is None:
            return f"TorchServe refused a model: {self._registration_failure}\n{self.tail()}"
        for version, lines in self._lines.items():
            if only is not None and version != _name_in_log(only):
                continue
            name = version.replace("_", " ")
            traceback = [line.removeprefix(FAILURE_PREFIX) for line in lines if line.startswith(FAILURE_PREFIX)]
            if version in self._died:
                said = traceback or [line for line in lines if not line.startswith("[PID]")]
                return f"a worker of {name} did not start:\n" + "\n".join(f"    {line}" for line in said[-30:])
            if self._starts[version] > self._num_workers:
                said = traceback or list(lines)
                return (
                    f"a worker of {name} ended while it started, without a message: killed, crashed, or out of memory\n"
                    + "\n".join(f"    {line}" for line in said[-30:])
                )
        return None

    def tail(self) -> str:
        """The last lines of everything."""
        return "\n".join(f"    {line}" for line in self._recent if not line.startswith(_NOISE))


def _name_in_log(variant: ServedVariant) -> str:
    return f"{variant.model}_{variant.version}"
