#!/usr/bin/env python3
"""The fleet service in Python: serves the drops in a directory, one a device.

usage: server.py DIRECTORY PORT     (0: a free one; the port is printed)

desired_state_pb2.py is made by protoc --python_out=python desired_state.proto
"""
import hashlib, os, sys, time
from concurrent import futures

import grpc

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import desired_state_pb2 as messages

PIECE = 64 << 10
root = sys.argv[1]


def place(device, path, context):
    parts = [device, *path.split("/")]
    if any(not part or part.startswith(".") or "/" in part for part in parts):
        context.abort(grpc.StatusCode.NOT_FOUND, "no such file")
    return os.path.join(root, *parts)


def pieces(device, path, context, offset=0):
    try:
        with open(place(device, path, context), "rb") as file:
            file.seek(offset)
            while piece := file.read(PIECE):
                yield piece
    except FileNotFoundError:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such file")


def revision(device, context):
    try:
        with open(place(device, "manifest.json", context), "rb") as file:
            return "sha256:" + hashlib.sha256(file.read()).hexdigest()
    except FileNotFoundError:
        return ""


def get(request, context):
    present = revision(request.device, context)
    yield messages.Part(head=messages.Head(revision=present))
    if not present or present == request.revision:
        return
    for piece in pieces(request.device, "manifest.json", context):
        yield messages.Part(manifest=piece)
    name = "signatures/" + present.replace(":", "-") + ".sig"
    if os.path.exists(place(request.device, name, context)):
        for piece in pieces(request.device, name, context):
            yield messages.Part(signatures=piece)


def watch(request, context):
    last = None
    while context.is_active():
        present = revision(request.device, context)
        if present != last:
            last = present
            yield messages.Hint(revision=present)
        time.sleep(0.2)


def read(request, context):
    for piece in pieces(request.device, request.path, context, request.offset):
        yield messages.Chunk(bytes=piece)


def acknowledge(request, context):
    if not request.path.startswith("acknowledgements/"):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a receipt goes below acknowledgements/")
    path = place(request.device, request.path, context)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "wb") as file:
        file.write(request.bytes)
    os.replace(path + ".new", path)
    return messages.Accepted()


def handler(kind, function, request, answer):
    return kind(function, request_deserializer=request.FromString, response_serializer=answer.SerializeToString)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("plant.state.v1.Fleet", {
    "Get": handler(grpc.unary_stream_rpc_method_handler, get, messages.GetRequest, messages.Part),
    "Watch": handler(grpc.unary_stream_rpc_method_handler, watch, messages.WatchRequest, messages.Hint),
    "Read": handler(grpc.unary_stream_rpc_method_handler, read, messages.ReadRequest, messages.Chunk),
    "Acknowledge": handler(grpc.unary_unary_rpc_method_handler, acknowledge, messages.Receipt, messages.Accepted),
})])
print(server.add_insecure_port(f"127.0.0.1:{sys.argv[2]}"), flush=True)
server.start()
server.wait_for_termination()
