"""Importing this lets `import torch` wait until something of torch is used.

TorchServe's worker imports torch for one type check, which our answers never reach. An archive that needs no torch
holds this file as `sitecustomize.py`, which Python imports before anything else: TorchServe puts the archive first on
PYTHONPATH. Where workers are forked, their server imports it.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any


class DeferredModule(types.ModuleType):
    """Stand in for a module until an attribute of it is asked for; a submodule's import asks for `__path__`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


sys.modules.setdefault("torch", DeferredModule("torch"))
