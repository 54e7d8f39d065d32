"""The command ``sdnet-pl serve``: an HTTP API as rembg's, and a page, on this machine."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
import socket
import sys
from contextlib import suppress

from sdnet_pl.cli.options import add_backend, add_device, add_quality, add_size, add_threads, add_weights
from sdnet_pl.errors import InputError
from sdnet_pl.inference.pretrained import QUALITIES, locate

PORT = 7000
"""That of rembg's server."""
_GRACE = 5
"""Seconds that requests have to end after Ctrl-C."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="H",
        help="the address to listen at (default: 127.0.0.1, which only this machine reaches); 0.0.0.0 is all of them, "
        "and then everyone who reaches it may use the server",
    )
    parser.add_argument(
        "--port", type=int, default=PORT, metavar="N", help=f"the port (default: {PORT}); 0 takes a free one"
    )
    parser.add_argument("--no-ui", action="store_true", help="the API alone, without the page; starts faster")
    parser.add_argument(
        "--queue", type=int, default=16, metavar="N", help="photos that may wait; more are sent away (default: 16)"
    )
    parser.add_argument(
        "--max-megapixels", type=float, default=50, metavar="N", help="of a photo; larger are refused (default: 50)"
    )
    add_threads(parser, "photos at a time, a thread each (default: one for each core, at most 4)")
    add_weights(parser)
    add_size(parser)
    add_device(parser)
    add_backend(parser)
    add_quality(parser, QUALITIES[0], "default: fast, which serves more photos in a second")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Raises:
        InputError: an option is wrong, the port is taken, or what the extra ``serve`` installs is missing.
    """
    locate(args.weights)
    if args.threads is not None and args.threads < 1:
        raise InputError(f"--threads is {args.threads}; give 1 or more.")
    try:
        import uvicorn

        from sdnet_pl.server.app import create_app
        from sdnet_pl.server.service import Settings
    except ModuleNotFoundError as error:
        raise InputError(f"serve needs {error.name}; install it with: pip install 'sdnet_pl[serve]'.") from error
    from sdnet_pl.data.parallel import usable_cores
    from sdnet_pl.inference.batch import MOST_THREADS

    with _listen(args.host, args.port) as listening:
        settings = Settings(
            weights=args.weights,
            size=args.size,
            device=args.device,
            backend=args.backend,
            quality=args.quality,
            threads=args.threads or min(MOST_THREADS, usable_cores()),
            queue=args.queue,
            max_megapixels=args.max_megapixels,
        )
        app = create_app(settings, page=not args.no_ui)
        address = f"http://{f'[{args.host}]' if ':' in args.host else args.host}:{listening.getsockname()[1]}"
        page = "" if args.no_ui else f"page {address}/, "
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE)
        with suppress(KeyboardInterrupt):  # which uvicorn passes on when it has ended
            print(
                f"sdnet-pl: {page}API {address}/api/remove, its description {address}/docs; Ctrl-C ends it",
                file=sys.stderr,
                flush=True,
            )
            uvicorn.Server(config).run(sockets=[listening])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens; bound before the network is loaded, so that a taken port is told at once."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"Nothing can listen at {host}, port {port} ({reason}); give another --port or --host."
        ) from error
