"""Serve the shop on a port the system chooses, and say which: ``python serve.py [logfire]``."""

import socket
import sys

import uvicorn


def switch_logfire_on():
    import logfire

    logfire.configure()
    logfire.install_auto_tracing(modules=["app", "basket", "catalog", "pricing"], min_duration=0)


def main():
    if "logfire" in sys.argv[1:]:
        switch_logfire_on()
    import app

    listening = socket.socket(
        socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # asyncio asks for TCP to set NODELAY
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(app.app, log_level="error", access_log=False, timeout_keep_alive=600)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
