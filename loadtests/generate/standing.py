"""Generator processes that stand ready for the next run: importing Locust or LoadGen takes a processor for seconds.

Runs would pay that each time, and be noisy by what others pay.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from host.child import end_with_parent
from loadtests.generate.lean_grpc import CallError
from loadtests.measure.recording import Part

Plan = TypeVar("Plan", bound=Part)
PREFIX = "MILLRACE_"
# The exit status of a generator whose last line says all that there is to know.
KNOWN_REASON = 3
Key = tuple[str, frozenset[tuple[str, str]]]


class GeneratorError(RuntimeError):
    """A load generator broke; the message ends with what it printed."""


class Generator:
    """A process that follows one plan after the other, told and answered in lines; ends with this process."""

    def __init__(self, module: str, environment: dict[str, str]) -> None:
        self._module = module
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed by `end`
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"loadtests.generate.{module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            preexec_fn=end_with_parent,
        )
        atexit.register(self.end)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def tell(self, plan: Part) -> None:
        """Have a plan followed.

        Raises:
            GeneratorError: the process is gone.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(plan.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._describe_end() from None

    def hear(self) -> bytes:
        """Wait for what came of the plan.

        Raises:
            GeneratorError: the process ended instead.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._describe_end()
        return line

    def end(self) -> None:
        atexit.unregister(self.end)
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def _describe_end(self) -> GeneratorError:
        status = self._process.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip()[-4000:]
        if status == KNOWN_REASON:
            return GeneratorError(said.splitlines()[-1])
        return GeneratorError(f"loadtests.generate.{self._module} ended with {status}:\n{said}")


# By what they run, and the settings that they have seen: keys may be others for the next run.
_idle: defaultdict[Key, list[Generator]] = defaultdict(list)


def take_generator(module: str) -> Generator:
    """Take one that stands ready, or start one."""
    key = _make_key(module)
    while _idle[key]:
        generator = _idle[key].pop()
        if generator.is_alive:
            return generator
        generator.end()
    return Generator(module, generator_environment())


def start_generators(modules: Sequence[str]) -> None:
    """Have one of each begin to load, to stand ready once something else is."""
    for module in modules:
        give_back(module, Generator(module, generator_environment()))


def give_back(module: str, generator: Generator) -> None:
    """Let one that follows no plan stand ready for the next."""
    _idle[_make_key(module)].append(generator)


def follow_plans(kind: type[Plan], follow: Callable[[Plan], bytes]) -> None:
    """Be such a process: follow each plan that comes in, write what came of it, in a line each."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # LoadGen prints there
    for line in sys.stdin.buffer:
        plan = kind.model_validate_json(line)
        try:
            came = follow(plan)
        except CallError as error:
            _give_up(f"the first request failed: {error}")
        except OSError as error:  # nobody listens, or too few workers came
            _give_up(str(error))
        answers.write(came + b"\n")
        answers.flush()


def _give_up(reason: str) -> NoReturn:
    print(" ".join(reason.split()), file=sys.stderr)
    sys.exit(KNOWN_REASON)


def generator_environment() -> dict[str, str]:
    """The environment of a process that generates: gRPC's fork handlers and info lines have no place in it."""
    return {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0", "GRPC_VERBOSITY": "ERROR"}


def _make_key(module: str) -> Key:
    return module, frozenset(item for item in os.environ.items() if item[0].startswith(PREFIX))
