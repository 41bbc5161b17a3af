"""Checkpoints: everything a run needs to go on as if it had never stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch

from host.replacement import replacing
from training.engine.seeds import capture_random_state, restore_random_state


def save_atomically(content: Any, path: Path) -> None:
    """Write with torch.save: a crash leaves the old file or the new one."""
    with replacing(path) as file:
        torch.save(content, file)


def save_checkpoint(path: Path, task_state: dict[str, Any], progress: dict[str, Any]) -> None:
    """Store a task's state, the loop's progress and the state of all random generators."""
    save_atomically({"task": task_state, "progress": progress, "random": capture_random_state()}, path)


def load_checkpoint(path: Path, device: torch.device) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a checkpoint, restore the random generators, and return the task's state and the loop's progress.

    Raises:
        FileNotFoundError: there is none; the run never reached its first checkpoint.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}: nothing to resume; start without --resume")
    content = torch.load(path, map_location=device, weights_only=True)
    content["random"]["torch"] = content["random"]["torch"].cpu()
    content["random"]["cuda"] = [state.cpu() for state in content["random"]["cuda"]]
    restore_random_state(content["random"])
    return content["task"], content["progress"]


class Resumable:
    """A task whose state is that of its `parts`, named as its attributes are; a part that is None has none."""

    parts: ClassVar[tuple[str, ...]]

    def state_dict(self) -> dict[str, Any]:
        """The states of all parts by name."""
        parts = {name: getattr(self, name) for name in self.parts}
        return {name: None if part is None else part.state_dict() for name, part in parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Bring all parts back to a state."""
        for name in self.parts:
            part = getattr(self, name)
            if part is not None:
                part.load_state_dict(state[name])
