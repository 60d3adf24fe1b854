"""Keys, certificates and documents, the same bytes in every run, and their publication in every form."""
import base64, hashlib, os, random, shutil, struct, subprocess

# Signatures bear the time, so that the time is the same in each run: the n-th publication is n minutes after this.
BEGIN = 1767225600
PRIVATE = 0o600


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')}")
    return done.stdout


def environment(**more):
    """Without what a user's own environment says of certificates, repositories and proxies."""
    kept = {name: value for name, value in os.environ.items()
            if name in ("PATH", "HOME", "TMPDIR", "LANG") or name.startswith("SWIFT_BACKTRACE")}
    return kept | {"LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"} | more


def ssh_key(path, seed):
    """An Ed25519 key that is the same in each run. It guards nothing."""
    secret = hashlib.sha256(seed.encode()).digest()
    der = bytes.fromhex("302e020100300506032b657004220420") + secret
    public = run("openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER", input=der)[-32:]
    string = lambda *parts: b"".join(struct.pack("!I", len(part)) + part for part in parts)
    blob = string(b"ssh-ed25519", public)
    inner = struct.pack("!II", 1, 1) + blob + string(secret + public, seed.encode())
    inner += bytes(range(1, 9))[:-len(inner) % 8]
    whole = b"openssh-key-v1\0" + string(b"none", b"none", b"") + struct.pack("!I", 1) + string(blob, inner)
    text = base64.encodebytes(whole).decode()
    with open(path, "w") as file:
        file.write(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{text}-----END OPENSSH PRIVATE KEY-----\n")
    os.chmod(path, PRIVATE)
    line = "ssh-ed25519 " + base64.b64encode(blob).decode()
    with open(path + ".pub", "w") as file:
        file.write(line + f" {seed}\n")
    return line


class Keys:
    """The directory `keys`. RSA for TLS, whose signatures are always of one length."""
    def __init__(self, directory, addresses):
        self.directory = directory
        os.makedirs(directory)
        line = ssh_key(self["ops"], "ops@plant.example")
        with open(self["allowed_signers"], "w") as file:
            file.write(f'ops@plant.example namespaces="desired-state,git" {line}\n')
        ssh_key(self["stranger"], "ops@elsewhere.example")
        device = ssh_key(self["login"], "press-42")
        with open(self["authorized_keys"], "w") as file:
            file.write(device + "\n")
        host = ssh_key(self["host"], "host")
        with open(self["known_hosts"], "w") as file:
            file.writelines(f"{address} {host}\n" for address in addresses)
        with open(self["ssh_config"], "w") as file:
            file.write(f"Host *\n  IdentityFile {self['login']}\n  UserKnownHostsFile {self['known_hosts']}\n"
                       "  StrictHostKeyChecking yes\n  IdentitiesOnly yes\n  User root\n  Port {port}\n")
        self.authority("ca")
        self.certificate("server", "ca", addresses)
        # The authority of a proxy that opens TLS: the plant has told its devices to believe it.
        self.authority("proxy-ca")
        self.certificate("proxy", "proxy-ca", addresses)

    def __getitem__(self, name):
        return os.path.join(self.directory, name)

    def authority(self, name):
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self[name + ".key"], "-out",
            self[name + ".pem"], "-days", "30", "-subj", f"/CN=plant {name}", "-set_serial", "77", "-addext",
            "keyUsage=critical,keyCertSign")

    def certificate(self, name, authority, addresses):
        names = ",".join(f"IP:{address}" for address in addresses)
        run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", self[name + ".key"], "-out",
            self[name + ".csr"], "-subj", f"/CN={name}")
        with open(self[name + ".ext"], "w") as file:
            file.write(f"subjectAltName={names}\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n")
        run("openssl", "x509", "-req", "-in", self[name + ".csr"], "-CA", self[authority + ".pem"], "-CAkey",
            self[authority + ".key"], "-set_serial", "78", "-days", "30", "-extfile", self[name + ".ext"], "-out",
            self[name + ".pem"])


def document(number, change):
    """A deployment as Margo has them, of some 700 bytes; a change is a new release of it."""
    dice = random.Random(f"{number} {change}")
    digest = "%064x" % dice.getrandbits(256)
    return f"""apiVersion: application.margo.org/v1alpha1
kind: ApplicationDeployment
metadata:
  name: unit-{number:04}
  namespace: press-line-{number % 17}
spec:
  applicationId: com-example-unit-{number % 40}
  deploymentProfile:
    type: compose
    components:
      - name: unit-{number:04}
        properties:
          repository: oci://registry.plant.example/apps/unit-{number % 40}
          revision: 1.4.{change}
          digest: sha256:{digest}
  parameters:
    pollFrequency:
      value: {dice.randrange(1, 120)}
      targets:
        - pointer: ENV.POLL_FREQUENCY
          components: ["unit-{number:04}"]
"""


class Site:
    """One fleet of documents: `wanted` and every form of publication that it has."""
    def __init__(self, root, fleet, program, keys, forms):
        self.root, self.fleet, self.program, self.keys, self.forms = root, fleet, program, keys, forms
        self.folder = os.path.join(root, "site", str(fleet))
        self.wanted, self.drop = os.path.join(self.folder, "wanted"), os.path.join(self.folder, "drop")
        self.version, self.signer = 0, keys["ops"]
        self.changes, self.present = {number: 0 for number in range(fleet)}, set(range(fleet))
        os.makedirs(self.wanted)
        for number in self.present:
            self.write(number)
        for name in ("drop", "plain"):
            if "git" in forms:
                os.makedirs(self.repository(name))
                self.git(name, "init", "-q", "-b", "main")
                self.git(name, "config", "uploadpack.allowFilter", "true")
                self.git(name, "config", "http.receivepack", "true")
                self.git(name, "config", "pack.threads", "1")
        if "ostree" in forms:
            os.makedirs(self.ostree)
            run("ostree", "init", "--repo=" + self.ostree, "--mode=archive")
        self.publish()

    ostree = property(lambda self: os.path.join(self.root, "ostree", str(self.fleet)))
    client = property(lambda self: os.path.join(self.root, "manager", "clients", f"press-{self.fleet}"))

    def repository(self, name):
        return os.path.join(self.root, "git", f"{name}-{self.fleet}")

    def git(self, name, *command):
        now = f"{BEGIN + 60 * self.version} +0000"
        run("git", "-c", "user.name=ops", "-c", "user.email=ops@plant.example", "-c", "gpg.format=ssh", "-c",
            "user.signingkey=" + self.signer, "-c", "gc.auto=0", "-C", self.repository(name), *command,
            env=environment(GIT_AUTHOR_DATE=now, GIT_COMMITTER_DATE=now, GIT_CONFIG_GLOBAL="/dev/null"))

    def write(self, number):
        with open(os.path.join(self.wanted, f"unit-{number:04}.yaml"), "w") as file:
            file.write(document(number, self.changes[number]))

    def change(self, number):
        self.changes[number] += 1
        self.write(number)
        self.publish()

    def attack(self):
        """Who holds the server and none of the keys publishes a change, signed with a key of their own."""
        self.changes[0] = 666
        self.write(0)
        self.publish("stranger")
        self.changes[0] = 0

    def add(self):
        number = max(self.changes) + 1
        self.changes[number] = 0
        self.present.add(number)
        self.write(number)
        self.publish()

    def remove(self, number):
        self.present.remove(number)
        os.remove(os.path.join(self.wanted, f"unit-{number:04}.yaml"))
        self.publish()

    def at(self):
        """The command that begins what happens at the time of this publication."""
        moment = BEGIN + 60 * self.version
        stamp = run("date", "-u", "-d", f"@{moment}", "+%Y-%m-%d %H:%M:%S").decode().strip()
        return ["faketime", "-m", "-f", stamp]

    def publish(self, key="ops"):
        self.signer = self.keys[key]
        self.version += 1
        plain = environment(TZ="UTC", FAKETIME_DONT_FAKE_MONOTONIC="1")
        options = ["--key", self.signer, "--version", str(self.version), "--prune"]
        run(*self.at(), self.program, "publish", self.wanted, "--to", self.drop, *options, env=plain)
        # Servers tell a change by the time of a file and its length: one version a minute. The times stand in headers, whose
        # length depends on their digits (RFC 7541).
        now = BEGIN + 60 * self.version
        for folder, _, files in os.walk(self.drop):
            for path in (os.path.join(folder, name) for name in files):
                if os.stat(path).st_mtime > now:
                    os.utime(path, (now, now))
        if "bundle" in self.forms:
            run(*self.at(), self.program, "publish", self.wanted, "--to", self.drop + ".tar.gz", *options[:-1], env=plain)
        if "margo" in self.forms:
            copy(self.drop, self.client)
        if "git" in self.forms:
            for name, what in (("drop", self.drop), ("plain", self.wanted)):
                target = self.repository(name)
                copy(what, os.path.join(target, "drop") if name == "drop" else target, keep=".git")
                self.git(name, "add", "-A")
                self.git(name, "commit", "-q", "-S", "-m", f"version {self.version}")
        if "ostree" in self.forms:
            # Its own way: modes and times are canonical.
            run("ostree", "commit", "--repo=" + self.ostree, "-b", "main", "--canonical-permissions", "--timestamp",
                f"@{BEGIN + 60 * self.version}", "-s", f"version {self.version}", self.wanted)


def copy(source, target, keep=None):
    """Documents first and the manifest last, as a drop wants it."""
    os.makedirs(target, exist_ok=True)
    options = ["--exclude=/" + keep] if keep else []
    run("rsync", "-a", "--checksum", "--delete", "--exclude=/manifest.json", *options, source + "/", target + "/")
    manifest = os.path.join(source, "manifest.json")
    if os.path.exists(manifest):
        shutil.copy2(manifest, os.path.join(target, ".manifest"))
        os.replace(os.path.join(target, ".manifest"), os.path.join(target, "manifest.json"))
