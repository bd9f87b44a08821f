"""One provider process: a gRPC server on a socket of its own, and the handshake that tells Terraform where it is."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from tf.gen import grpc_controller_pb2 as controller_pb
from tf.gen import grpc_controller_pb2_grpc as controller_rpc
from tf.gen import grpc_stdio_pb2_grpc as stdio_rpc
from tf.gen import tfplugin_pb2_grpc as rpc

from .certificate import certificate
from .provider import MusterProvider
from .servicer import MusterServicer

# Terraform asks as many things at once as its -parallelism, ten if unset, and waits for all of them; an operation keeps
# its thread until it ends. A thread is made when it is needed.
THREADS = 256
MESSAGE_LIMIT = 256 << 20
_OPTIONS = [("grpc.max_receive_message_length", MESSAGE_LIMIT), ("grpc.max_send_message_length", MESSAGE_LIMIT)]


def serve() -> None:
    """Serve until Terraform says that it is done."""
    with tempfile.TemporaryDirectory(prefix="muster-provider-") as folder:
        provider, done = MusterProvider(), threading.Event()
        server, address = _server(provider, done), f"{folder}/socket"
        own = certificate()
        server.add_secure_port(f"unix://{address}", grpc.ssl_server_credentials([(own.key, own.chain)]))
        server.start()
        print(f"1|6|unix|{address}|grpc|{own.handshake}", flush=True)
        try:
            done.wait()
        finally:
            server.stop(grace=1).wait()
            provider.close()


@contextmanager
def reattachable() -> Iterator[tuple[MusterProvider, dict[str, Any]]]:
    """A provider in this very process, and what TF_REATTACH_PROVIDERS must say of it: for debuggers and tests."""
    with tempfile.TemporaryDirectory(prefix="muster-provider-") as folder:
        provider, address = MusterProvider(), f"{folder}/socket"
        server = _server(provider, threading.Event())
        server.add_insecure_port(f"unix://{address}")
        server.start()
        try:
            yield provider, {provider.full_name(): {
                "Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True,
                "Addr": {"Network": "unix", "String": address},
            }}
        finally:
            server.stop(grace=0).wait()
            provider.close()


def _server(provider: MusterProvider, done: threading.Event) -> grpc.Server:
    class Controller(controller_rpc.GRPCControllerServicer):
        def Shutdown(self, request: Any, context: Any) -> Any:
            done.set()
            return controller_pb.Empty()

    class Stdio(stdio_rpc.GRPCStdioServicer):
        def StreamStdio(self, request: Any, context: Any) -> Iterator[Any]:
            return iter(())

    server = grpc.server(ThreadPoolExecutor(max_workers=THREADS), options=_OPTIONS)
    rpc.add_ProviderServicer_to_server(MusterServicer(provider), server)
    controller_rpc.add_GRPCControllerServicer_to_server(Controller(), server)
    stdio_rpc.add_GRPCStdioServicer_to_server(Stdio(), server)
    return server
