"""Bytes from a TCP port on loopback to a Unix socket and back, for clients that know no Unix sockets.

    forward.py SOCKET PORT-FILE

It reads nothing and adds nothing. For tests only: it puts the API where every local user could reach it.
"""

import asyncio
import os
import sys


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        try:
            writer.write_eof()
        except (OSError, RuntimeError):
            pass


async def connection(path, reader, writer):
    try:
        up_reader, up_writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        print(f"forward.py: {error}", file=sys.stderr, flush=True)
        writer.close()
        return
    await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))
    for one in (writer, up_writer):
        one.close()


async def main():
    path, port_file = sys.argv[1:]
    server = await asyncio.start_server(lambda r, w: connection(path, r, w), "127.0.0.1", 0, backlog=256)
    with open(port_file + ".new", "w", encoding="utf-8") as f:
        f.write(str(server.sockets[0].getsockname()[1]))
    os.replace(port_file + ".new", port_file)
    async with server:
        await server.serve_forever()


asyncio.run(main())
