"""Serve the sandbox on this machine: `python -m sandbox --port 4600` (the table must exist)."""

import argparse

from chalice.config import Config
from chalice.local import ChaliceRequestHandler, LocalDevServer, create_local_server

from sandbox.entry import api


class Handler(ChaliceRequestHandler):
    """Chalice's handler, sending an answer in one packet (else 40 ms are lost to delayed ACKs)."""

    wbufsize = -1


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4600)
    arguments = parser.parse_args()
    config = Config.create()
    # Makes the app's current request a matter of the thread; its own server is not used.
    create_local_server(api, config, arguments.host, 0).server.server_close()
    server = LocalDevServer(api, config, arguments.host, arguments.port, handler_cls=Handler)
    server.serve_forever()


if __name__ == "__main__":
    main()
