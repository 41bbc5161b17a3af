"""The gateway's variant is the engine's too."""

from tests.services.gateway.conftest import manifest, variant

__all__ = ["manifest", "variant"]
