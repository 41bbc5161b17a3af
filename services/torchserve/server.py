"""One TorchServe under control: launched, known to be ready, restarted when it dies, ended without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from time import monotonic

import structlog

from host.ports import find_free_ports
from services.catalogue import ServedVariant
from services.gateway.errors import GatewayError, NotReadyError
from services.torchserve.apart import Apart
from services.torchserve.calls import IS_STARTING, EngineAddress, EngineCalls
from services.torchserve.command import StartError, list_shared_modules
from services.torchserve.http_client import HttpClient
from services.torchserve.launching import Here, Launch, Launcher, Run
from services.torchserve.output import read_lines
from services.torchserve.predictions import Predictions, worker_lost
from services.torchserve.registration import register, unregister
from services.torchserve.run_folder import RunFolder, Tokens, unpack_archive, write_configuration
from services.torchserve.settings import TorchServeSettings
from services.torchserve.warm_up import warm_up
from services.torchserve.worker_log import WorkerLog
from services.torchserve.workers import Workers

logger = structlog.get_logger("torchserve")

POLL_S = 0.1
LAST_WORDS_S = 0.3  # the rest of a traceback is on its way
WATCH_S = 1.0
RESTART_DELAYS_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
HEALTHY_AFTER_S = 60.0


class TorchServe(EngineCalls):
    """A supervised TorchServe process; variants may come and go while it serves others."""

    def __init__(
        self,
        variants: Sequence[ServedVariant],
        settings: TorchServeSettings,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_change` is called whenever other workers are ready than before."""
        super().__init__(settings.workers, settings.slots_per_worker, settings.response_timeout_s)
        self._variants = tuple(variants)
        self._settings = settings
        self._launcher: Launcher = (
            Here(settings.java, settings.java_heap_mib) if settings.engine is None else Apart(settings.engine)
        )
        self._run: Run | None = None
        self._reader: asyncio.Task[None] | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._log = WorkerLog(self._variants, settings.workers)
        self._management: HttpClient | None = None
        self._workers = Workers(self._variants, on_change)
        self._call_failed = asyncio.Event()
        self._num_starts: Counter[str] = Counter()  # of workers, by the launches before this one
        self.num_engine_restarts = 0
        self._folder: RunFolder | None = None
        self._loading = asyncio.Lock()

    @property
    def variants(self) -> tuple[ServedVariant, ...]:
        """The variants that were loaded; a restart brings them all back."""
        return self._variants

    def ready_workers(self, variant: ServedVariant) -> frozenset[int]:
        """The process ids of a variant's workers that were ready when last looked at (every second)."""
        return self._workers.ready(variant)

    def look_soon(self) -> None:
        """Look at the workers now; see calls.py."""
        self._call_failed.set()

    def note_lost(self, worker: int) -> None:
        """Know a worker as ready no more; see calls.py."""
        self._workers.lose(worker)
        self.look_soon()

    def num_restarts(self, variant: ServedVariant) -> int:
        """How many worker processes of a variant were started beyond the first ones."""
        num_starts = self._num_starts[str(variant)] + self._log.num_starts(variant)
        return max(0, num_starts - self._settings.workers)

    def load_s(self, variant: ServedVariant) -> float | None:
        """How long a variant took from the engine's launch to its first loaded worker, in seconds."""
        return self._workers.load_s(variant)

    def tail(self) -> str:
        """What TorchServe and its workers printed last."""
        return self._log.tail()

    @property
    def root(self) -> int | None:
        """The process above all of TorchServe's; None where they cannot be seen from here, or are not there."""
        return None if self._run is None else self._run.root

    async def start(self, report_progress: Callable[[int, int], None] = lambda ready, total: None) -> None:
        """Start TorchServe and return when every worker is ready and warmed; then supervise it.

        Raises:
            StartError: a worker did not start or did not get ready in time; nothing is left running.
        """
        try:
            await self._launch(report_progress)
        except BaseException:
            await self._end()
            raise
        self._supervisor = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """End TorchServe, its workers and its files; calls in flight are lost, so let them finish first."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
            self._supervisor = None
        await self._end()

    async def load(self, variant: ServedVariant) -> None:
        """Load one more variant and return when its workers are ready and warmed.

        Raises:
            StartError: it did not start; nothing of it is left.
            NotReadyError: TorchServe itself is starting or being restarted.
        """
        async with self._loading:
            folder, management, predictions = self._folder, self._management, self._predictions
            if folder is None or management is None or predictions is None:
                raise worker_lost(IS_STARTING)
            self._log.add(variant)
            self._workers.add(variant)
            try:
                name = await asyncio.to_thread(unpack_archive, variant, self._settings, folder)
                await register(management, name, self._settings)
                async with asyncio.timeout(self._settings.startup_timeout_s):
                    await self._wait_for_workers_of(variant, predictions, management)
                    await warm_up(variant, predictions, self.num_slots(variant))
            except BaseException as error:
                await self._discard(variant)
                if isinstance(error, TimeoutError):
                    raise StartError(
                        f"{variant} was not ready after {self._settings.startup_timeout_s:g} s "
                        "(MILLRACE_STARTUP_TIMEOUT_S)"
                    ) from None
                if isinstance(error, GatewayError) and not isinstance(error, NotReadyError):
                    raise StartError(error.cause) from error
                raise
            self._variants += (variant,)

    async def unload(self, variant: ServedVariant) -> None:
        """End a variant's workers and remove its files; calls in flight are lost, so let them finish first."""
        self._variants = tuple(other for other in self._variants if str(other) != str(variant))
        await self._discard(variant)

    async def _discard(self, variant: ServedVariant) -> None:
        self._workers.remove(variant)
        self._log.remove(variant)
        self._num_starts.pop(str(variant), None)
        if self._management is not None and self._folder is not None:
            await unregister(self._management, variant)
            await asyncio.to_thread(shutil.rmtree, self._folder.unpacked(variant), ignore_errors=True)

    async def _wait_for_workers_of(
        self, variant: ServedVariant, predictions: Predictions, management: HttpClient
    ) -> None:
        while True:
            if self._predictions is not predictions:
                raise worker_lost("TorchServe ended meanwhile")
            await self._fail_if_told(variant)
            await self._workers.look(management)
            if len(self._workers.ready(variant)) >= self._settings.workers:
                return
            await asyncio.sleep(POLL_S)

    async def _launch(self, report_progress: Callable[[int, int], None]) -> None:
        settings = self._settings
        folder = self._launcher.create_folder()
        for variant in self._variants:
            self._num_starts[str(variant)] += self._log.num_starts(variant)
        self._log = WorkerLog(self._variants, settings.workers)
        try:
            grpc_ports = find_free_ports(2)  # TorchServe always opens two gRPC servers; we never use them
            try:
                models = [unpack_archive(variant, settings, folder) for variant in self._variants]
            except OSError as error:
                raise StartError(
                    f"archives cannot be unpacked into {folder.path}: {error.strerror}; make room there, or "
                    "name another place as TMPDIR"
                ) from error
            write_configuration(folder, models, settings, grpc_ports)
            launch = Launch(
                folder=folder.path,
                shared_modules=list_shared_modules(self._variants),
                threads=settings.threads_per_worker,
            )
            self._run = await self._launcher.launch(launch)
        except BaseException:
            folder.remove()
            raise
        self._reader = asyncio.create_task(self._read_output(self._run))
        self._folder = folder
        self._workers.expect()
        try:
            async with asyncio.timeout(settings.startup_timeout_s):
                tokens = await self._wait_for_tokens(folder)
                self._management = HttpClient(folder.management_socket, tokens.management)
                address = EngineAddress(folder.inference_socket, tokens.inference, folder.temporary, folder.shared)
                predictions = self._connect(address)
                await self._wait_for_workers(report_progress)
                await asyncio.gather(
                    *(warm_up(variant, predictions, self.num_slots(variant)) for variant in self._variants)
                )
        except TimeoutError:
            raise StartError(
                f"not every worker was ready after {settings.startup_timeout_s:g} s (MILLRACE_STARTUP_TIMEOUT_S); "
                f"TorchServe's last lines:\n{self._log.tail()}"
            ) from None
        except GatewayError as error:
            raise StartError(error.cause) from error
        self._predictions = predictions

    async def _wait_for_tokens(self, folder: RunFolder) -> Tokens:
        while (tokens := folder.read_tokens()) is None:
            await self._fail_if_broken()
            await asyncio.sleep(POLL_S)
        return tokens

    async def _wait_for_workers(self, report_progress: Callable[[int, int], None]) -> None:
        assert self._management is not None
        wanted = self._settings.workers * len(self._variants)
        while True:
            await self._fail_if_broken()
            ready = await self._workers.look(self._management)
            report_progress(ready, wanted)
            if ready >= wanted:
                return
            await asyncio.sleep(POLL_S)

    async def _fail_if_broken(self) -> None:
        assert self._run is not None
        await self._fail_if_told()
        if self._run.ended is not None:
            assert self._reader is not None
            await self._reader
            raise StartError(f"TorchServe ended with {self._run.ended}:\n{self._log.tail()}")

    async def _fail_if_told(self, only: ServedVariant | None = None) -> None:
        """Raise what the log tells of a worker that could not start, with its last words."""
        if self._log.find_failure(only):
            await asyncio.sleep(LAST_WORDS_S)
            raise StartError(self._log.find_failure(only))

    async def _read_output(self, run: Run) -> None:
        async for line in read_lines(run.output):
            try:
                self._log.read_line(line)
            except Exception:
                logger.exception("a line of TorchServe's was not understood", line=line[:200])

    async def _supervise(self) -> None:
        """Watch TorchServe and start it again whenever it ends; nothing but a cancellation ends this."""
        failures = 0
        while True:
            started_s = monotonic()
            assert self._run is not None
            await self._watch_until_end(self._run)
            self._predictions = None
            self._workers.forget()
            self.num_engine_restarts += 1
            failures = 0 if monotonic() - started_s > HEALTHY_AFTER_S else failures
            logger.error("TorchServe ended; starting it again", how=self._run.ended, output=self._log.tail())
            failures = await self._relaunch(failures)

    async def _watch_until_end(self, run: Run) -> None:
        assert self._management is not None
        ended = asyncio.ensure_future(run.wait())
        try:
            while not ended.done():
                try:
                    await self._workers.look(self._management)
                except Exception:
                    logger.exception("TorchServe's answer about its workers was not understood")
                call_failed = asyncio.ensure_future(self._call_failed.wait())
                await asyncio.wait((ended, call_failed), timeout=WATCH_S, return_when=asyncio.FIRST_COMPLETED)
                call_failed.cancel()
                self._call_failed.clear()
        finally:
            ended.cancel()

    async def _relaunch(self, failures: int) -> int:
        """Start TorchServe again, as often as it takes; return the number of failures so far."""
        while True:
            try:
                await self._end()
                await asyncio.sleep(RESTART_DELAYS_S[min(failures, len(RESTART_DELAYS_S) - 1)])
                failures += 1
                await self._launch(lambda ready, total: None)
            except (StartError, OSError) as error:
                logger.error("TorchServe did not start again", attempt=failures, error=str(error))
            except Exception:
                logger.exception("TorchServe did not start again", attempt=failures)
            else:
                logger.info("TorchServe is back", attempt=failures)
                return failures

    async def _end(self) -> None:
        self._disconnect()
        self._folder = None
        self._workers.forget()
        if self._management is not None:
            self._management.close()
        if self._run is None:
            return
        self._run.end()
        await self._run.wait()
        if self._reader is not None:
            await self._reader
        self._run = None
