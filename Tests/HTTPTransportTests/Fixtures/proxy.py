"""An HTTP proxy: CONNECT and absolute-form requests. Standard library only.

    proxy.py [--tls CERT KEY] [--credentials USER:PASSWORD] [--refuse STATUS] [--log FILE]

Prints its port, serves until standard input ends. Every request head is appended to the log.
"""
import argparse, base64, os, socket, ssl, sys, threading
from urllib.parse import urlsplit

arguments = argparse.ArgumentParser()
arguments.add_argument("--tls", nargs=2)
arguments.add_argument("--credentials")
arguments.add_argument("--refuse", type=int)
arguments.add_argument("--log")
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
        if arguments.log:
            with open(arguments.log, "a") as file:
                file.write("\n".join(lines) + "\n\n")
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
        else:
            url = urlsplit(target)
            server = socket.create_connection((url.hostname, url.port or 80))
            path = url.path + ("?" + url.query if url.query else "")
            lines[0] = f"{method} {path} HTTP/1.1"
            server.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + rest)
        threading.Thread(target=copy, args=(client, server), daemon=True).start()
        copy(server, client)
    except OSError:
        pass
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
