"""A server of small methods on a free loopback port."""

import asyncio
import socket

import grpc
import pytest

from services.grpc_server import CallContext, CallError, GrpcStatus, Limits, Server, Streaming, Unary

LIMIT = 8 << 20


class Service:
    """Methods for the tests, and what happened to them."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.contexts: list[CallContext] = []
        self.num_taken = 0
        self.num_sent = 0

    async def echo(self, data, context):
        self.contexts.append(context)
        return data

    async def wait(self, data, context):
        self.contexts.append(context)
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return data

    async def enlarge(self, data, context):
        return bytes(int(data))

    async def refuse(self, data, context):
        context.request_id = "id-7"
        raise CallError(GrpcStatus.INVALID_ARGUMENT, "no: 100 % größer\nthan allowed")

    async def break_down(self, data, context):
        raise ZeroDivisionError("internal text")

    async def count(self, messages, context):
        async for message in messages:
            for _ in range(int(message)):
                self.num_sent += 1
                yield b"x" * 100_000

    async def take_slowly(self, messages, context):
        """Take one message, then wait for the test to go on."""
        async for _ in messages:
            self.num_taken += 1
            self.started.set()
            await self.release.wait()
        yield str(self.num_taken).encode()

    async def relay(self, messages, context):
        async for message in messages:
            yield message

    def methods(self):
        unary = {
            "Echo": self.echo,
            "Wait": self.wait,
            "Enlarge": self.enlarge,
            "Refuse": self.refuse,
            "Break": self.break_down,
        }
        streaming = {"Count": self.count, "TakeSlowly": self.take_slowly, "Relay": self.relay}
        return {f"/t/{name}": Unary(method) for name, method in unary.items()} | {
            f"/t/{name}": Streaming(method) for name, method in streaming.items()
        }


@pytest.fixture
async def service():
    return Service()


@pytest.fixture
async def start():
    """Start servers that end with the test."""
    servers = []

    async def start(methods, limits=None, ssl_context=None, **options):
        limits = limits or Limits(max_message_bytes=LIMIT, max_received_bytes=2 * LIMIT)
        server = Server(methods, limits, **options)
        listener = socket.create_server(("127.0.0.1", 0))
        server.address = f"127.0.0.1:{listener.getsockname()[1]}"
        await server.start(listener, ssl_context)
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop(0)


@pytest.fixture
async def server(service, start):
    return await start(service.methods())


@pytest.fixture
async def channel(server):
    options = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))
    async with grpc.aio.insecure_channel(server.address, options) as channel:
        yield channel


async def status_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def invoke(method, data, **options):
    """Make grpc.aio's call a coroutine."""
    return await method(data, **options)
