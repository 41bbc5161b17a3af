"""One training by several processes, which `torchrun` starts: each takes its share of every batch.

All processes draw the same batch and divide its rows; losses, gradients and logged figures are shares to be added up.
So the state after a step is that of one process, and a run may be resumed by another number of processes.

Gradients are added up by the Updater after the backward pass, in one piece for each type of number, rather than by
DistributedDataParallel: that wraps modules, and so has to be told of every network, loss and parameter that a step
leaves out. The price: the sum does not overlap with the backward pass.

The process of rank 0 leads: it alone validates, writes and prints, and what follows the fit is its alone.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from training.engine.seeds import generator_for

T = TypeVar("T")
_CPU = torch.device("cpu")


class Dismissed(Exception):  # noqa: N818 - nothing failed
    """The fit has ended or was stopped, and this process does not lead."""


def count_started() -> int:
    """How many processes were started for this training, as the environment says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def refuse_processes(what: str) -> None:
    """Refuse to be one of several processes.

    Raises:
        ValueError: torchrun has started several.
    """
    if count_started() > 1:
        raise ValueError(f"{what} does not divide its work, but {count_started()} processes were started; start one")


@contextlib.contextmanager
def joined_processes(device: str) -> Iterator[None]:
    """Train together with the other processes that torchrun has started; alone, this changes nothing.

    On GPUs each process takes that of its local rank. Those that do not lead are silent and leave when the fit ends.

    Raises:
        ValueError: the device names one GPU for all processes, or there are fewer GPUs than processes.
    """
    if count_started() == 1:
        yield
        return
    on_cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    if on_cuda:
        _take_gpu(device, int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if on_cuda else "gloo")
    if leads():
        yield
        return
    silently = contextlib.redirect_stderr(io.StringIO())
    with contextlib.suppress(Dismissed), silently:
        yield


def _take_gpu(device: str, local_rank: int) -> None:
    if ":" in device:
        raise ValueError(f"--device {device} is one GPU for all processes; use --device cuda, each takes its own")
    if local_rank >= torch.cuda.device_count():
        raise ValueError(f"process {local_rank} of this machine has no GPU: there are {torch.cuda.device_count()}")
    torch.cuda.set_device(local_rank)


def num_processes() -> int:
    """How many processes train together now."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def leads() -> bool:
    """Whether this process writes and prints."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def dismiss() -> None:
    """End the training together; the leader goes on alone.

    Raises:
        Dismissed: in all other processes.
    """
    if num_processes() > 1:
        leading = leads()
        distributed.destroy_process_group()
        if not leading:
            raise Dismissed


def own_share(num_rows: int) -> slice:
    """Which rows of a batch this process takes."""
    if num_processes() == 1:
        return slice(0, num_rows)
    rank, count = distributed.get_rank(), num_processes()
    return slice(rank * num_rows // count, (rank + 1) * num_rows // count)


def draw_apart(seed: int, step: int) -> None:
    """Give the processes that do not lead random numbers of their own from torch's global generator in this step."""
    if not leads():
        torch.manual_seed(generator_for(seed, step, distributed.get_rank()).initial_seed())


def agree(answer: bool) -> bool:
    """Whether any process says yes."""
    if num_processes() == 1:
        return answer
    said = torch.tensor(int(answer))
    distributed.all_reduce(said, distributed.ReduceOp.MAX)
    return bool(said)


def from_leader(make: Callable[[], T], device: torch.device = _CPU) -> T:
    """Let the leader make something that torch.save can store, and give it to all, with its tensors on `device`."""
    if num_processes() == 1:
        return make()
    parcel: list[Any] = [None]
    if leads():
        buffer = io.BytesIO()
        torch.save(make(), buffer)
        parcel = [buffer.getvalue()]
    distributed.broadcast_object_list(parcel, src=0, device=_CPU)
    content: T = torch.load(io.BytesIO(parcel[0]), map_location=device, weights_only=True)
    return content


def add_up_figures(shares: Mapping[str, Tensor]) -> dict[str, float]:
    """Scalars of the whole batch from the shares that each process has of them."""
    if num_processes() > 1:
        totals = torch.stack([share.float() for share in shares.values()])
        distributed.all_reduce(totals)
        shares = dict(zip(shares, totals, strict=True))
    return {name: float(value) for name, value in shares.items()}


@torch.no_grad()
def add_up_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their sum over all processes."""
    if num_processes() == 1:
        return
    of_type: dict[torch.dtype, list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            of_type.setdefault(parameter.grad.dtype, []).append(parameter.grad)
    for gradients in of_type.values():
        together = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(together)
        parts = together.split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(whole) for part, whole in zip(parts, gradients, strict=True)])
