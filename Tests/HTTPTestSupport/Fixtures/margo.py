"""A Margo workload fleet manager that serves what a test puts into a folder. Standard library only.

    margo.py --root DIR [--port N] [--tls CERT KEY --client-ca CA] --log FILE

Prints its port, serves until standard input ends. In the folder:

    manifest.json          the manifest; none is 404
    tag                    its ETag, as it is to be sent; by default the quoted digest
    artifacts/<hex>        documents, found by the digest in the path
    bundles/<hex>          bundles
    problem                a JSON object {status, headers, body} with which the manifest is answered instead
    well-known/<name>      the answer at /.well-known/…/<name>
    endless                the name of what never ends: manifest, or the hexadecimal digest of an artifact
    secret                 with which manifests are signed by hmac-sha256 (RFC 9421)
    signed-as              the bytes that are signed instead of the manifest
    gzip                   whether answers are compressed for those who take it
    statuses               the posted statuses, one JSON object a line; written here
    report-problem         a JSON object {status, headers, body} with which statuses and capabilities are answered
    devices/<name>         reported capabilities, slashes of the device's id as %2F; written here

Every request is a JSON object a line of the log: method, path, fields, body, status and bytes sent.
"""
import argparse, base64, gzip, hashlib, hmac, json, os, re, ssl, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

arguments = argparse.ArgumentParser()
arguments.add_argument("--root", required=True)
arguments.add_argument("--port", type=int, default=0)
arguments.add_argument("--tls", nargs=2)
arguments.add_argument("--client-ca")
arguments.add_argument("--log")
arguments = arguments.parse_args()
lock = threading.Lock()


def path(*names):
    return os.path.join(arguments.root, *names)


def content(*names):
    try:
        with open(path(*names), "rb") as file:
            return file.read()
    except OSError:
        return None


def append(file, value):
    with lock, open(file, "a") as output:
        output.write(json.dumps(value) + "\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    prefix = re.compile(r"^/(?:base/)?api/v1(?:/clients/([^/]+))?")

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="application/json", fields=()):
        if content("gzip") is not None and "gzip" in self.headers.get("Accept-Encoding", "") and body:
            body = gzip.compress(body)
            fields = [*fields, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
        # Before it is sent: a client with the answer may look at the log.
        self.note(status, len(body))
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 304 and self.command != "HEAD":
            self.wfile.write(body)

    def note(self, status, count):
        fields = {name.lower(): value for name, value in self.headers.items()}
        append(arguments.log, {
            "method": self.command, "path": self.path, "fields": fields, "status": status, "bytes": count,
            "body": base64.b64encode(self.body).decode()})

    def signature(self, secret, body):
        """The base of RFC 9421 section 2.5, written out."""
        scheme = "https" if context else "http"
        digest = "sha-256=:%s:" % base64.b64encode(hashlib.sha256(body).digest()).decode()
        covered = '("@status" "content-digest" "@method";req "@target-uri";req);keyid="fleet"'
        base = "\n".join([
            '"@status": 200', '"content-digest": ' + digest, '"@method";req: ' + self.command,
            '"@target-uri";req: %s://%s%s' % (scheme, self.headers["Host"], self.path),
            '"@signature-params": ' + covered])
        value = base64.b64encode(hmac.new(secret, base.encode(), hashlib.sha256).digest()).decode()
        return [("Content-Digest", digest), ("Signature-Input", "sig1=" + covered), ("Signature", "sig1=:%s:" % value)]

    def problem(self, status, title):
        body = {"type": "about:blank", "title": title, "status": status}
        self.answer(status, json.dumps(body).encode(), "application/problem+json")

    def endless(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        count = 0
        piece = b" " * 16384
        try:
            while True:
                self.wfile.write(b"4000\r\n" + piece + b"\r\n")
                count += len(piece)
        except OSError:
            self.note(200, count)
            self.close_connection = True

    def do_GET(self):
        self.body = b""
        match = self.prefix.match(self.path)
        rest = self.path[match.end():] if match else ""
        endless = (content("endless") or b"").decode().strip()
        if rest == "/deployments":
            problem = content("problem")
            if problem is not None:
                problem = json.loads(problem)
                fields = [*problem.get("headers", {}).items()]
                kind = problem.get("type", "application/problem+json")
                return self.answer(problem["status"], problem.get("body", "").encode(), kind, fields)
            if endless == "manifest":
                return self.endless("application/vnd.margo.manifest.v1+json")
            manifest = content("manifest.json")
            if manifest is None:
                return self.problem(404, "Nothing is assigned")
            tag = content("tag")
            tag = tag.decode().strip() if tag else '"sha256:%s"' % hashlib.sha256(manifest).hexdigest()
            fields = [("ETag", tag), ("Cache-Control", "private")]
            if self.headers.get("If-None-Match") == tag:
                return self.answer(304, fields=fields)
            secret = content("secret")
            if secret:
                fields += self.signature(secret, content("signed-as") or manifest)
            return self.answer(200, manifest, "application/vnd.margo.manifest.v1+json", fields)
        if self.path.startswith("/.well-known/"):
            body = content("well-known", self.path.rsplit("/", 1)[1])
            return self.problem(404, "Not found") if body is None else self.answer(200, body)
        found = re.fullmatch(r"/(deployments/[^/]+|bundles)/sha256:([0-9a-f]{64})", rest)
        if found:
            digest = found[2]
            folder, kind = ("bundles", "application/vnd.margo.bundle.v1+tar+gzip")
            if found[1] != "bundles":
                folder, kind = ("artifacts", "application/yaml")
            if endless == digest:
                return self.endless(kind)
            artifact = content(folder, digest)
            if artifact is not None:
                fields = [("ETag", '"sha256:%s"' % digest), ("Cache-Control", "private, max-age=31536000, immutable")]
                return self.answer(200, artifact, kind, fields)
        self.problem(404, "Not found")

    do_HEAD = do_GET

    def refuses(self):
        """Whether the fault is played that a test asked for."""
        problem = content("report-problem")
        if problem is None:
            return False
        problem = json.loads(problem)
        if problem.get("path", "") not in self.path:
            return False
        kind = problem.get("type", "application/problem+json")
        fields = [*problem.get("headers", {}).items()]
        self.answer(problem["status"], json.dumps(problem["body"]).encode(), kind, fields)
        return True

    def capabilities(self, device):
        """As rc.3 has it: a device behind another one needs that one; 201 for a new one."""
        types = "https://docs.margo.org/specification/problem-types#"
        known = path("devices", device.replace("/", "%2F"))
        if self.refuses():
            return
        if self.command == "DELETE":
            if not os.path.exists(known):
                body = {"type": types + "device-not-found", "title": "Device Not Found", "status": 404}
                return self.answer(404, json.dumps(body).encode(), "application/problem+json")
            os.remove(known)
            return self.answer(204)
        parent = device.rpartition("/")[0]
        if parent and not os.path.exists(path("devices", parent.replace("/", "%2F"))):
            body = {"type": types + "gateway-not-found", "title": "Gateway not found", "status": 404}
            return self.answer(404, json.dumps(body).encode(), "application/problem+json")
        os.makedirs(path("devices"), exist_ok=True)
        status = 200 if os.path.exists(known) else 201
        with open(known, "wb") as file:
            file.write(self.body)
        self.answer(status)

    def do_POST(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        match = self.prefix.match(self.path)
        rest = self.path[match.end():] if match else ""
        if rest.startswith("/capabilities/") and (self.command != "POST" or match[1]):
            return self.capabilities(rest[len("/capabilities/"):])
        if rest == "/onboarding":
            if json.loads(self.body).get("kind") != "OnboardingRequest":
                return self.problem(400, "Invalid certificate")
            return self.answer(201, b'{"clientId": "client-7"}')
        if re.fullmatch(r"/deployments/[^/]+/status", rest):
            if self.refuses():
                return
            append(path("statuses"), json.loads(self.body))
            return self.answer(201)
        self.problem(404, "Not found")

    do_PUT = do_DELETE = do_POST


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def get_request(self):
        # The handshake is the connection's own thread's business.
        connection, address = self.socket.accept()
        if context:
            connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request, client_address):
        pass


context = None
if arguments.tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(*arguments.tls)
    if arguments.client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(arguments.client_ca)
server = Server(("127.0.0.1", arguments.port), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
