#!/usr/bin/python3
"""gRPC: grpcio's server and client, many calls on one channel.

PyPI: grpcio; Debian: tcpdump.
"""

import concurrent.futures
import time

import grpc

from record import recording

PORT = 50051


class Shelf(grpc.GenericRpcHandler):
    """Bytes in, bytes out: no generated code."""

    def service(self, call):
        name = call.method.rsplit("/", 1)[-1]
        if not call.method.startswith("/library.v1.Shelf/") or not hasattr(self, name):
            return None
        if name == "List":
            return grpc.unary_stream_rpc_method_handler(self.List)
        if name == "Chat":
            return grpc.stream_stream_rpc_method_handler(self.Chat)
        return grpc.unary_unary_rpc_method_handler(getattr(self, name))

    def Get(self, request, context):
        return b"book " + request

    def Slow(self, request, context):
        time.sleep(0.08)
        return b"late " + request

    def Missing(self, request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, 'no book "%s" \N{EURO SIGN}' % request.decode())

    def Broken(self, request, context):
        raise ValueError("a bug")

    def List(self, request, context):
        for n in range(4):
            time.sleep(0.01)
            yield b"book %d" % n

    def Chat(self, requests, context):
        for request in requests:
            yield b"you said " + request


def calls(channel):
    def unary(name):
        return channel.unary_unary(f"/library.v1.Shelf/{name}")

    print(unary("Get")(b"1"))
    # All at once; the slow one is answered last, the deadline passes before it.
    slow = unary("Slow").future(b"2")
    late = unary("Slow").future(b"3", timeout=0.03)
    fast = [unary("Get").future(b"%d" % n) for n in range(4, 7)]
    listed = channel.unary_stream("/library.v1.Shelf/List")(b"all")
    print(list(listed), [call.result() for call in fast], slow.result(), late.code())
    for name in ("Missing", "Broken", "Burn"):
        try:
            unary(name)(b"8")
        except grpc.RpcError as error:
            print(name, error.code(), error.details())
    said = iter([b"one", b"two"])
    print(list(channel.stream_stream("/library.v1.Shelf/Chat")(said)))
    # A long one.
    print(len(unary("Get")(b"x" * 4000)))
    # Given up by its client.
    slow = unary("Slow").future(b"9")
    time.sleep(0.02)
    slow.cancel()


def main():
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), handlers=[Shelf()])
    server.add_insecure_port(f"127.0.0.1:{PORT}")
    server.start()
    with recording("grpc", [PORT]):
        with grpc.insecure_channel(f"127.0.0.1:{PORT}") as channel:
            calls(channel)
            time.sleep(0.1)
    server.stop(None).wait()


if __name__ == "__main__":
    main()
