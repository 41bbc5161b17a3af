"""The page for browsers, and the part of the API that it stands on."""

from services.console.console import Console

__all__ = ["Console"]
