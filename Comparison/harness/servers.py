"""The real servers, each started in the namespace of the servers and stopped by its own process id."""
import os, shutil, socket, subprocess, time
from publication import environment

NGINX = """
daemon off; master_process off; pid {root}/nginx.pid; user root;
events {{ worker_connections 20000; }}
worker_rlimit_nofile 40000;
http {{
  log_format lines '$server_name $connection $request_method $status $bytes_sent $request_length $request_uri';
  access_log {root}/access.log lines;
  client_body_temp_path {root}/tmp; proxy_temp_path {root}/tmp; fastcgi_temp_path {root}/tmp;
  uwsgi_temp_path {root}/tmp; scgi_temp_path {root}/tmp;
  types {{ application/json json; }} default_type application/octet-stream;
  keepalive_requests 1000000; keepalive_timeout 1h; client_max_body_size 0;
  ssl_protocols TLSv1.3; ssl_session_tickets on;
  server {{
    server_name site; listen {address} ssl http2;
    ssl_certificate {keys}/server.pem; ssl_certificate_key {keys}/server.key;
    root {root}/site;
    location /ostree/ {{ root {root}; }}
    location /receipts/ {{ root {root}; dav_methods PUT; create_full_put_path on; }}
    location /git/ {{
      fastcgi_pass unix:{root}/fcgi;
      fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
      fastcgi_param GIT_PROJECT_ROOT {root}; fastcgi_param GIT_HTTP_EXPORT_ALL "";
      fastcgi_param PATH_INFO $uri; fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method; fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param GIT_PROTOCOL $http_git_protocol;
      fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding; fastcgi_param REMOTE_USER device;
      fastcgi_param GIT_CONFIG_GLOBAL /dev/null; fastcgi_param GIT_CONFIG_NOSYSTEM 1;
      fastcgi_param GIT_CONFIG_COUNT 1; fastcgi_param GIT_CONFIG_KEY_0 safe.directory;
      fastcgi_param GIT_CONFIG_VALUE_0 *;
    }}
  }}
  # A proxy that opens TLS, reads, and changes a release number where it finds one.
  server {{
    server_name inspector; listen {inspector} ssl{inspector2};
    ssl_certificate {keys}/proxy.pem; ssl_certificate_key {keys}/proxy.key;
    proxy_http_version 1.1; proxy_ssl_protocols TLSv1.3; proxy_set_header Accept-Encoding "";
    {meddling}
    location / {{ proxy_pass https://{address}; }}
    location /api/ {{ proxy_pass https://{margo}; }}
    location /plant.state.v1.Fleet/ {{ proxy_pass https://{grpc}; }}
  }}
}}
"""


def reachable(link, address):
    host, port = address.rsplit(":", 1)
    program = f"import socket; socket.create_connection(('{host}', {port}), 1)"
    return subprocess.run([*link.inServer, "python3", "-c", program], stderr=subprocess.DEVNULL).returncode == 0


class Server:
    def __init__(self, link, log, command, ready, **options):
        self.command = command
        self.process = subprocess.Popen(
            [*link.inServer, *command], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment(), **options)
        self.group = group(self.process.pid)
        deadline = time.monotonic() + 60
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(log.name) as said:
                    raise RuntimeError(f"{command[0]} does not serve: {said.read()[-1000:]}")
            time.sleep(0.05)

    def cpu(self):
        """Seconds of processor time, with that of all that it has started. Without control groups, of its own threads and of
        those children that it waited for."""
        if self.group:
            with open(os.path.join(self.group, "cpuacct.usage")) as file:
                return int(file.read()) / 1e9
        total = 0.0
        for process in [self.process.pid, *children(self.process.pid)]:
            try:
                for thread in os.listdir(f"/proc/{process}/task"):
                    with open(f"/proc/{process}/task/{thread}/schedstat") as file:
                        total += int(file.read().split()[0]) / 1e9
                with open(f"/proc/{process}/stat") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                total += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
            except FileNotFoundError:
                continue
        return total

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.group:
            try:
                os.rmdir(self.group)
            except OSError:
                pass  # a child of it is ending


def group(process):
    """A control group of its own, that counts the time of a process and of all that it starts; nil where none can be made."""
    path = f"/sys/fs/cgroup/cpuacct/comparison-{process}"
    try:
        os.mkdir(path)
        with open(os.path.join(path, "cgroup.procs"), "w") as file:
            file.write(str(process))
        return path
    except OSError:
        return None


def children(process):
    try:
        with open(f"/proc/{process}/task/{process}/children") as file:
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:
        return []


class Servers:
    """All of them. `programs` names where reference-server and grpc-server are, if they were built."""
    def __init__(self, root, link, keys, programs, meddling=False, inspector2=False):
        self.root, self.link, self.keys, self.programs, self.all = root, link, keys, programs, {}
        self.addresses = link.endpoints()
        self.logs = []
        for name in ("tmp", "site", "receipts", "git", "ostree", "manager/clients"):
            os.makedirs(os.path.join(root, name), exist_ok=True)
        self.meddling, self.inspector2 = meddling, inspector2

    def start(self, name, command, ready):
        log = open(os.path.join(self.root, name + ".log"), "ab")
        self.logs.append(log)
        self.all[name] = Server(self.link, log, command, ready)

    def nginx(self):
        if "fcgiwrap" not in self.all:
            socket_ = os.path.join(self.root, "fcgi")
            self.start("fcgiwrap", ["fcgiwrap", "-s", "unix:" + socket_], lambda: os.path.exists(socket_))
        meddling = "sub_filter_types *; sub_filter_once off; sub_filter 'revision: 1.4.' 'revision: 6.6.';"
        with open(os.path.join(self.root, "nginx.conf"), "w") as file:
            file.write(NGINX.format(
                root=self.root, keys=self.keys.directory, address=self.addresses["address"],
                margo=self.addresses["margo"],
                grpc=self.addresses["grpc"], inspector=self.addresses["inspector"], inspector2=" http2" if self.inspector2 else "",
                meddling=meddling if self.meddling else ""))
        self.start("nginx", ["nginx", "-c", os.path.join(self.root, "nginx.conf"), "-e", "stderr"],
                   lambda: reachable(self.link, self.addresses["address"]))

    def sshd(self):
        host, port = self.addresses["ssh"].rsplit(":", 1)
        with open(self.keys["sshd_config"], "w") as file:
            file.write(f"ListenAddress {host}\nPort {port}\nHostKey {self.keys['host']}\nUsePAM no\n"
                       f"AuthorizedKeysFile {self.keys['authorized_keys']}\nStrictModes no\nPidFile none\n"
                       "PasswordAuthentication no\nPermitRootLogin prohibit-password\n")
        with open(self.keys["ssh_config"]) as file:
            text = file.read()
        with open(self.keys["ssh_config"], "w") as file:
            file.write(text.replace("{port}", port))
        os.makedirs("/run/sshd", exist_ok=True)
        self.start("sshd", [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", self.keys["sshd_config"]],
                   lambda: reachable(self.link, self.addresses["ssh"]))

    def manager(self):
        host, port = self.addresses["margo"].rsplit(":", 1)
        self.start(
            "manager",
            [self.programs["reference-server"], "--data", os.path.join(self.root, "manager"), "--host", host, "--port",
             port, "--admin-port", "0", "--tls-cert", self.keys["server.pem"], "--tls-key", self.keys["server.key"]],
            lambda: reachable(self.link, self.addresses["margo"]))

    def grpc(self):
        host, port = self.addresses["grpc"].rsplit(":", 1)
        self.start(
            "grpc",
            [self.programs["grpc-server"], "--data", os.path.join(self.root, "manager", "clients"), "--host", host,
             "--port", port, "--tls-cert", self.keys["server.pem"], "--tls-key", self.keys["server.key"]],
            lambda: reachable(self.link, self.addresses["grpc"]))

    def inspect(self, meddling):
        """Begins again, with a proxy that meddles or that only reads."""
        self.meddling = meddling
        self.stop("nginx")
        open(os.path.join(self.root, "access.log"), "w").close()
        self.nginx()

    def inspected(self):
        """The requests that the proxy has read."""
        return self.answered("inspector ")

    def answered(self, server="site "):
        """The requests that nginx has answered."""
        with open(os.path.join(self.root, "access.log")) as file:
            return sum(line.startswith(server) for line in file)

    def stop(self, *names):
        for name in names or reversed(list(self.all)):
            self.all.pop(name).stop()
