"""A client (PyPI websockets) that has a hundred messages echoed."""
import asyncio
import os
import sys

import websockets


async def main(url):
    async with websockets.connect(url, origin=None, max_size=None) as websocket:
        extensions = [type(extension).__name__ for extension in websocket.protocol.extensions]
        messages = [os.urandom(size * 331 % 50_000) for size in range(99)] + ["naïve 文字"]
        for message in messages:
            await websocket.send(message)
        for number, message in enumerate(messages):
            assert await websocket.recv() == message, number
        await (await websocket.ping())
    print(*extensions, "100 messages in order, pong, closed", websocket.close_code)


asyncio.run(asyncio.wait_for(main(sys.argv[1]), 30))
