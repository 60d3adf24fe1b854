"""An HTTP proxy: CONNECT and absolute-form requests. Standard library only.

    proxy.py [--tls CERT KEY] [--credentials USER:PASSWORD] [--refuse STATUS] [--log FILE]
             [--inspect CERT KEY [--client CERT KEY] [--change PATH]]

Prints its port, serves until standard input ends. Every request head is appended to the log.

With --inspect it ends the TLS of CONNECT itself, under its own certificate, reads what passes and begins TLS with the
server anew, as the firewalls of some sites do; with --change it also changes one bit of every answer to a path that
begins so.
"""
import argparse, base64, os, socket, ssl, sys, threading
from urllib.parse import urlsplit

arguments = argparse.ArgumentParser()
arguments.add_argument("--tls", nargs=2)
arguments.add_argument("--credentials")
arguments.add_argument("--refuse", type=int)
arguments.add_argument("--log")
arguments.add_argument("--inspect", nargs=2)
arguments.add_argument("--client", nargs=2)
arguments.add_argument("--change")
arguments = arguments.parse_args()


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def refuse(client, status):
    challenge = "Proxy-Authenticate: Basic realm=\"proxy\"\r\n" if status == 407 else ""
    client.sendall(f"HTTP/1.1 {status} No\r\n{challenge}Content-Length: 0\r\n\r\n".encode())


def log(head):
    if arguments.log:
        with open(arguments.log, "a") as file:
            file.write(head.replace("\r\n", "\n") + "\n\n")


def message(file):
    """One HTTP/1.1 message: its first line, its fields and its body; None at the end."""
    first = file.readline().decode("latin-1").rstrip("\r\n")
    if not first:
        return None
    fields = []
    while line := file.readline().decode("latin-1").rstrip("\r\n"):
        fields.append(line.split(": ", 1) if ": " in line else [line.rstrip(":"), ""])
    lower = {name.lower(): value for name, value in fields}
    bodiless = first.startswith("HTTP/1.1 304") or first.startswith("HTTP/1.1 204")
    return first, fields, b"" if bodiless else file.read(int(lower.get("content-length", "0")))


def inspect(client, server, host):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*arguments.inspect)
    onward = ssl.create_default_context()
    # Its own trust is not tested here.
    onward.check_hostname, onward.verify_mode = False, ssl.CERT_NONE
    if arguments.client:
        onward.load_cert_chain(*arguments.client)
    client = context.wrap_socket(client, server_side=True)
    server = onward.wrap_socket(server, server_hostname=host)
    requests, answers = client.makefile("rb"), server.makefile("rb")
    while request := message(requests):
        first, fields, body = request
        log(first)
        # So that every answer has a length.
        fields = [field for field in fields if field[0].lower() != "accept-encoding"]
        send(server, first, fields, body)
        answer = message(answers)
        if not answer:
            break
        line, fields, content = answer
        method, path, _ = first.split(" ")
        if arguments.change and path.startswith(arguments.change) and content:
            content = bytearray(content)
            content[len(content) // 2] ^= 1
        send(client, line, fields, b"" if method == "HEAD" else bytes(content))
    client.close()
    server.close()


def send(to, first, fields, body):
    to.sendall("\r\n".join([first] + [f"{name}: {value}" for name, value in fields] + ["", ""]).encode("latin-1") + body)


def handle(client, context):
    try:
        if context:
            client = context.wrap_socket(client, server_side=True)
        held = b""
        while b"\r\n\r\n" not in held:
            data = client.recv(65536)
            if not data:
                return
            held += data
        head, rest = held.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        log("\n".join(lines))
        method, target, _ = lines[0].split(" ")
        fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:]}
        if arguments.refuse:
            return refuse(client, arguments.refuse)
        if arguments.credentials:
            expected = "Basic " + base64.b64encode(arguments.credentials.encode()).decode()
            if fields.get("proxy-authorization") != expected:
                return refuse(client, 407)
        if method == "CONNECT":
            host, port = target.rsplit(":", 1)
            server = socket.create_connection((host.strip("[]"), int(port)))
            client.sendall(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
            if arguments.inspect:
                return inspect(client, server, host)
        else:
            url = urlsplit(target)
            server = socket.create_connection((url.hostname, url.port or 80))
            path = url.path + ("?" + url.query if url.query else "")
            lines[0] = f"{method} {path} HTTP/1.1"
            server.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + rest)
        threading.Thread(target=copy, args=(client, server), daemon=True).start()
        copy(server, client)
    except OSError as error:
        log(f"{error!r}")
    finally:
        client.close()


context = None
if arguments.tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*arguments.tls)
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(64)
print(listener.getsockname()[1], flush=True)


def accept():
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=handle, args=(sock, context), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
sys.stdin.read()
os._exit(0)
