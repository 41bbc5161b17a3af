"""The server that test_attacks.py attacks, in a process of its own."""

import asyncio
import socket

from services.grpc_server import Limits, Server, Streaming, Unary

LIMIT = 8 << 20


async def _echo(data, context):
    return data


async def _wait(data, context):
    await asyncio.sleep(60)
    return data


async def _enlarge(data, context):
    return b"x" * int(data)


async def _enlarge_all(messages, context):
    async for message in messages:
        for _ in range(100_000):
            yield b"x" * int(message)


async def _take_one(messages, context):
    async for _ in messages:
        await asyncio.sleep(60)
    yield b""


async def _serve(listener: socket.socket) -> None:
    methods = {
        "/t/Echo": Unary(_echo),
        "/t/Wait": Unary(_wait),
        "/t/Enlarge": Unary(_enlarge),
        "/t/EnlargeAll": Streaming(_enlarge_all),
        "/t/TakeOne": Streaming(_take_one),
    }
    server = Server(methods, Limits(max_message_bytes=LIMIT, max_received_bytes=4 * LIMIT))
    await server.start(listener)
    await asyncio.Event().wait()


def run(listener: socket.socket) -> None:
    asyncio.run(_serve(listener))
