"""An HTTP/1.1 server that does by request what no real server does. Standard library only.

    hostile.py [--tls CERT KEY [--client-ca CA]] [--host ADDRESS] [--log FILE] [--root DIR]

Prints its port, serves until standard input ends. The path picks the behaviour; see `serve`.
Every request head is appended to the log.

With a root, /at/TARGET/BEHAVIOUR[,name=value]…/FILE serves the files below it as any server does, except those
whose path begins with TARGET: they are answered as /BEHAVIOUR?name=value… is.
"""
import argparse, ctypes, gzip, json, os, socket, ssl, struct, sys, threading, time, zlib
from urllib.parse import parse_qs, unquote, urlsplit

arguments = argparse.ArgumentParser()
arguments.add_argument("--tls", nargs=2)
arguments.add_argument("--client-ca")
arguments.add_argument("--host", default="127.0.0.1")
arguments.add_argument("--log")
arguments.add_argument("--root")
arguments = arguments.parse_args()
log_lock = threading.Lock()


def log(text):
    if arguments.log:
        with log_lock, open(arguments.log, "a") as file:
            file.write(text + "\n")


class Gone(Exception):
    """The connection is to be closed."""


class Connection:
    def __init__(self, sock):
        self.sock = sock
        self.held = b""

    def receive(self):
        data = self.sock.recv(65536)
        if not data:
            raise Gone
        self.held += data

    def until(self, end):
        while end not in self.held:
            self.receive()
        part, self.held = self.held.split(end, 1)
        return part

    def exactly(self, count):
        while len(self.held) < count:
            self.receive()
        part, self.held = self.held[:count], self.held[count:]
        return part

    def request(self):
        head = self.until(b"\r\n\r\n").decode("latin-1")
        lines = head.split("\r\n")
        method, target, _ = lines[0].split(" ")
        fields = [line.split(": ", 1) if ": " in line else [line.rstrip(":"), ""] for line in lines[1:]]
        lower = {name.lower(): value for name, value in fields}
        log(head.replace("\r\n", "\n") + "\n")
        body = b""
        if lower.get("transfer-encoding") == "chunked":
            while size := int(self.until(b"\r\n"), 16):
                body += self.exactly(size)
                self.until(b"\r\n")
            self.until(b"\r\n")
        elif "content-length" in lower:
            body = self.exactly(int(lower["content-length"]))
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        return method, url.path, query, fields, lower, body

    def send(self, data):
        self.sock.sendall(data)

    def answer(self, body=b"", status="200 OK", fields=(), length=None):
        head = f"HTTP/1.1 {status}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
        self.send(f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body)

    def forever(self):
        """Waits for the other side to go away."""
        while True:
            self.receive()
            self.held = b""

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone


def brotli(data):
    library = ctypes.CDLL("libbrotlienc.so.1")
    size = ctypes.c_size_t(len(data) + 1024)
    output = ctypes.create_string_buffer(size.value)
    library.BrotliEncoderCompress(
        5, 22, 0, ctypes.c_size_t(len(data)), data, ctypes.byref(size), output)
    return output.raw[: size.value]


def serve(connection, request, state):
    method, path, query, fields, lower, body = request
    send, answer = connection.send, connection.answer
    file = None
    if path.startswith("/at/"):
        _, _, target, behaviour, file = path.split("/", 4)
        if file.startswith(target):
            behaviour, *parameters = behaviour.split(",")
            # A slash within a parameter is written as a bar.
            parameters = [parameter.replace("|", "/") for parameter in parameters]
            path, query = "/" + behaviour, dict(unquote(parameter).split("=", 1) for parameter in parameters)
        else:
            path = "/file"
        # By a device that is not to be confused by it: a path with a dot-dot is no file of ours.
        file = os.path.join(arguments.root, file) if ".." not in file else ""
    size = int(query.get("size", "0"))
    if path == "/file":
        content = read(file)
        shown = b"" if method == "HEAD" else content or b""
        answer(shown, "404 Not Found" if content is None else "200 OK", length=len(content or b""))
    elif path == "/typed":
        answer(read(file) or b"", fields=[("Content-Type", query["type"])])
    elif path == "/tagged":
        # Whatever it holds, it has one tag, and a date of the test's choice.
        if lower.get("if-none-match") == '"same"' or lower.get("if-modified-since") == query.get("modified", ""):
            answer(b"", "304 Not Modified")
        else:
            names = {"tag": "ETag", "modified": "Last-Modified", "date": "Date"}
            answer(read(file) or b"", fields=[(names[name], value) for name, value in query.items() if name in names])
    elif path == "/nothing":
        answer(b"")
    elif path == "/says":
        # Words of the test's choice, in which it repeats the credentials that it was sent.
        text = query["text"].replace("CREDENTIALS", lower.get("authorization", ""))
        answer(text.encode(), query["code"] + " Whatever", [("Content-Type", query["type"])])
    elif path == "/breaking":
        # Breaks the connection after so many bytes of every answer, and begins where it is asked to, if it can.
        content = read(file) or b""
        start = int(lower.get("range", "bytes=0-")[6:-1]) if query.get("ranges") != "none" else 0
        part = content[start:]
        status = "206 Partial Content" if start else "200 OK"
        fields = [("ETag", '"strong"')] + ([("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")] if start else [])
        answer(part[: int(query["every"])], status, fields, length=len(part))
        if len(part) > int(query["every"]):
            raise Gone
    elif path == "/portal":
        answer(b"<!DOCTYPE html><title>Welcome to our network</title>", fields=[("Content-Type", "text/html; charset=utf-8")])
    elif path == "/refuse":
        answer(b"", f"{query['code']} Whatever", [("Retry-After", query["after"])] if "after" in query else [])
    elif path == "/late":
        # Not before the file named so is there.
        while not os.path.exists(os.path.join(arguments.root, query["until"])):
            time.sleep(0.01)
        answer(read(file) or b"")
    elif path == "/closing":
        # Says nothing of it, and closes the connection after every answer.
        answer(read(file) or b"")
        raise Gone
    elif path == "/elsewhere":
        answer(b"", "302 Found", [("Location", query["to"] + file[len(arguments.root):])])
    elif path == "/ok":
        answer(b"" if method == "HEAD" else b"x" * size, length=size, fields=[("X-Connection", state["number"])])
    elif path == "/echo":
        answer(json.dumps({"method": method, "fields": fields, "length": len(body),
                           "sum": zlib.crc32(body)}).encode())
    elif path == "/status":
        send(f"HTTP/1.1 {query['code']} Whatever\r\nETag: \"a\"\r\nContent-Length: {size}\r\n\r\n".encode()
             if "size" in query else f"HTTP/1.1 {query['code']} Whatever\r\nETag: \"a\"\r\n\r\n".encode())
    elif path == "/chunked":
        send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n"
             b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-End: yes\r\n\r\n")
    elif path == "/interim":
        send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    elif path == "/fields":
        send(b"HTTP/1.1 200 All Right\r\nX-Many: 1\r\nx-many: 2\r\nX-Folded: a\r\n  b\r\nBad Name: x\r\n"
             b"X-Empty:\r\nContent-Length: 0\r\n\r\n")
    elif path == "/redirect":
        answer(b"moved", query.get("code", "302") + " Found", [("Location", query["to"])])
    elif path == "/loop":
        answer(b"", "302 Found", [("Location", f"/loop?n={int(query.get('n', '0')) + 1}")])
    elif path == "/truncated":
        answer(b"only this", length=1000)
        raise Gone
    elif path == "/endless-header":
        send(b"HTTP/1.1 200 OK\r\n")
        while True:
            send(b"X-More: " + b"y" * 500 + b"\r\n")
    elif path == "/endless-line":
        send(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while True:
            send(b"y" * 4096)
    elif path == "/endless-interim":
        while True:
            send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    elif path == "/endless-trailer":
        send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n")
        while True:
            send(b"X-More: " + b"y" * 500 + b"\r\n")
    elif path == "/endless":
        send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            send(b"10000\r\n" + b"z" * 65536 + b"\r\n")
    elif path == "/announced":
        answer(b"", length=size)
        connection.forever()
    elif path == "/drip":
        answer(b"", length=100000)
        while True:
            send(b".")
            time.sleep(1)
    elif path == "/stall":
        answer(b"begun", length=100000)
        connection.forever()
    elif path == "/silent":
        connection.forever()
    elif path == "/reset":
        answer(b"begun", length=100000)
        connection.reset()
    elif path == "/empty":
        raise Gone
    elif path == "/garbage":
        send(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
        raise Gone
    elif path == "/bomb":
        zeros = b"\0" * (size << 20)
        encoding = query["encoding"]
        answer(gzip.compress(zeros) if encoding == "gzip" else brotli(zeros), fields=[("Content-Encoding", encoding)])
    elif path == "/encoded":
        text = b"the same text again and again, " * 1000
        encoding = query["encoding"]
        answer(gzip.compress(text) if encoding == "gzip" else brotli(text), fields=[("Content-Encoding", encoding)])
    elif path == "/bad-gzip":
        answer(b"this is not gzip at all", fields=[("Content-Encoding", "gzip")])
    elif path == "/cut-gzip":
        text = gzip.compress(os.urandom(1000) + b"text " * 1000)
        answer(text[:-20], fields=[("Content-Encoding", "gzip")])
    elif path == "/nothing-gzip":
        send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\xff")
        while True:
            send(b"\x00\x00\x00\xff\xff" * 10000)
    elif path == "/close":
        # Says that the connection stays, and closes it after the answer, once the next request has come.
        answer(b"kept", fields=[("X-Connection", state["number"])])
        state["close"] = True
    elif path == "/early":
        answer(b"no", "413 Content Too Large", [("Connection", "close")])
        raise Gone
    else:
        answer(b"not here", "404 Not Found")


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


numbers = iter(range(1, 1 << 60))


def handle(sock, context):
    connection = None
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            raw = sock.dup()
            try:
                sock = context.wrap_socket(sock, server_side=True)
            except (OSError, ssl.SSLError):
                # Closing with unread bytes would reset the connection and could overtake the alert.
                raw.settimeout(10)
                while raw.recv(65536):
                    pass
                raise
            finally:
                raw.close()
        connection = Connection(sock)
        state = {"number": next(numbers), "close": False}
        while True:
            request = connection.request()
            if state["close"]:
                raise Gone
            serve(connection, request, state)
    except (Gone, OSError, ssl.SSLError, ValueError):
        pass
    finally:
        sock.close()


def main():
    context = None
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments.tls)
        if arguments.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(arguments.client_ca)
    family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind((arguments.host, 0))
    listener.listen(128)
    print(listener.getsockname()[1], flush=True)

    def accept():
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=handle, args=(sock, context), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


main()
