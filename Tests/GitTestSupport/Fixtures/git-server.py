"""Git's protocol over HTTP, by git itself, with the manners of other servers.

usage: git-server.py PORT REPOSITORY LOG OPTION...

  version0         speak the protocol before version 2 only
  without=NAME     do not say that NAME can be done (repeatable); asked for it all the same, the server dies
  agent            serve only programs whose User-Agent begins with git/
  old              advertise in version 2 what git 2.20 does
  silent=SECONDS   say nothing before an answer for so long
  thinking=SECONDS the same, with a keepalive of five bytes every 0.2 s, before the pack and before the report of a push
  forget           close the connection instead of answering a push, which has happened
  cut=BYTES        end each pack after so many bytes, as a line that goes dead does
  no-parts         leave files out, and refuse to send them one by one
  login            answer as a forge does to strangers: 203 and a web page

Each request is a line in LOG: the request, and how many bytes were sent.
"""
import http.server, os, socketserver, subprocess, sys, time

port, repository, log = int(sys.argv[1]), sys.argv[2], sys.argv[3]
options = {}
for option in sys.argv[4:]:
    name, _, value = option.partition("=")
    options.setdefault(name, []).append(value)


def number(name):
    return float(options[name][0]) if name in options else 0


def packets(data):
    while data:
        size = int(data[:4], 16)
        yield data[: max(size, 4)]
        data = data[max(size, 4) :]


def packet(text):
    return b"%04x" % (len(text) + 4) + text


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def note(self, text):
        with open(log, "a") as file:
            file.write(text + "\n")

    def git(self, service, arguments, body=b"", version2=False):
        environment = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1")
        environment.pop("GIT_PROTOCOL", None)
        if version2:
            environment["GIT_PROTOCOL"] = "version=2"
        command = ["git", service, "--stateless-rpc"] + arguments + [repository]
        return subprocess.run(command, input=body, stdout=subprocess.PIPE, env=environment).stdout

    def advertisement(self, service):
        version2 = service == "upload-pack" and "version0" not in options and self.headers.get("Git-Protocol")
        data = self.git(service, ["--http-backend-info-refs"], version2=bool(version2))
        lines = list(packets(data))
        missing = options.get("without", [])
        if version2:
            lines = [l for l in lines if l[4:].split(b"=")[0].strip().decode() not in missing]
            if "old" in options:
                lines = [packet(l) for l in (b"version 2\n", b"agent=git/2.20.1\n", b"ls-refs\n", b"fetch=shallow\n", b"server-option\n")] + [b"0000"]
            self.offered = {l[4:].split(b"=")[0].strip().decode() for l in lines}
            self.offered |= set(b"".join(l for l in lines if b"fetch=" in l).decode().strip().partition("=")[2].split())
        else:
            name, _, capabilities = lines[0][4:].partition(b"\0")
            kept = [c for c in capabilities.decode().split() if c.split("=")[0] not in missing]
            lines[0] = packet(name + b"\0" + " ".join(kept).encode() + b"\n")
            self.offered = {c.split("=")[0] for c in kept}
        return b"".join(lines), bool(version2)

    def die(self, why):
        self.note("died: " + why)
        self.send_error(500, "died of " + why)

    def manners(self):
        if "agent" in options and not self.headers.get("User-Agent", "").startswith("git/"):
            self.die("the agent " + self.headers.get("User-Agent", ""))
            return False
        if "login" in options:
            self.send_response(203)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "7")
            self.end_headers()
            self.wfile.write(b"<html/>")
            return False
        return True

    def do_GET(self):
        if not self.manners():
            return
        service = self.path.rpartition("service=git-")[2]
        data, version2 = self.advertisement(service)
        head = b"" if version2 else packet(b"# service=git-%s\n" % service.encode()) + b"0000"
        self.begin("application/x-git-%s-advertisement" % service)
        self.chunk(head + data)
        self.end()
        self.note("advertisement %s %d" % (service, len(data)))

    def do_POST(self):
        if not self.manners():
            return
        if self.headers.get("Transfer-Encoding"):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        service = self.path.rpartition("git-")[2]
        _, version2 = self.advertisement(service)
        asked = self.words(service, body, version2)
        for word in asked:
            if word not in self.offered:
                return self.die(word)
        lines = [line[4:].strip() for line in packets(body)] if service == "upload-pack" else []
        if "no-parts" in options and b"command=fetch" in lines and not any(l.startswith((b"deepen", b"have")) for l in lines):
            self.begin("application/x-git-%s-result" % service)
            self.chunk(packet(b"ERR upload-pack: not our ref " + lines[-2]))
            self.end()
            return self.note("refused parts")
        time.sleep(number("silent"))
        self.begin("application/x-git-%s-result" % service)
        if service == "receive-pack":
            self.push(body)
        else:
            self.fetch(body, version2)
        self.note("%s %s" % (service, " ".join(asked)))

    def words(self, service, body, version2):
        """What a request asks for that has to be offered."""
        lines = []
        for line in packets(body):
            if line == b"0000":
                break
            lines.append(line[4:].strip())
        if not version2:
            first = lines[0].partition(b"\0")[2] if service == "receive-pack" else b" ".join(lines[0].split()[2:])
            words = [w.split("=")[0] for w in first.decode().split()]
            words += ["shallow"] if any(l.startswith((b"deepen", b"shallow")) for l in lines) else []
            return words + (["filter"] if any(l.startswith(b"filter") for l in lines) else [])
        command = lines[0].split(b"=")[1].decode()
        words = [command] + [l.split(b"=")[0].decode() for l in lines[1 : lines.index(b"")]] if b"" in lines else [command]
        if command == "fetch":
            words += ["shallow"] if any(l.startswith((b"deepen", b"shallow")) for l in lines) else []
            words += ["filter"] if any(l.startswith(b"filter") for l in lines) else []
        return words

    def fetch(self, body, version2):
        data = self.git("upload-pack", [], body, version2)
        start = data.find(b"PACK")
        if start < 0:
            self.chunk(data)
            return self.end()
        # The packet that the pack begins in, with a band before it or without.
        banded = data[start - 1 : start] == b"\1"
        start -= 5 if banded else 0
        self.chunk(data[:start])
        self.think(b"0005\1" if banded else b"")
        rest = data[start:]
        if "cut" in options:
            self.chunk(rest[: int(number("cut"))])
            self.close_connection = True
            return self.connection.close()
        self.chunk(rest)
        self.end()

    def push(self, body):
        data = self.git("receive-pack", [], body)
        if "forget" in options:
            self.close_connection = True
            return self.connection.close()
        self.think(b"0005\2" if data[4:5] in (b"\1", b"\2") else b"")
        self.chunk(data)
        self.end()

    def think(self, keepalive):
        end = time.monotonic() + number("thinking")
        while time.monotonic() < end:
            if keepalive:
                self.chunk(keepalive)
            time.sleep(0.2)

    def begin(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data):
        if data:
            self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")

    def end(self):
        self.wfile.write(b"0\r\n\r\n")


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


Server(("127.0.0.1", port), Handler).serve_forever()
