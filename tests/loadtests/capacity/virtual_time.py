"""An event loop in which waiting takes no time: what sleeps a second costs what it computes, and is exact."""

import asyncio
import selectors


class _Selector(selectors.SelectSelector):
    """Instead of waiting for a timeout, move the loop's clock on by it."""

    loop: "VirtualLoop"

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready and timeout:
            self.loop.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time stands still but for what is slept."""

    def __init__(self) -> None:
        self.now_s = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s


def run(main):
    """Run a coroutine function in virtual time; it is given the clock."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main(loop.time))
    finally:
        loop.close()
