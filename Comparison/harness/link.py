"""The link between a device and its servers: two network namespaces, and between them a process that passes each packet
on: late, no faster than the link, some not at all. It counts what passes.

It does the same on every kernel, also on those without netem, and it loses the same packets each time: by their number.
"""
import ctypes, fcntl, heapq, json, os, random, select, struct, subprocess, sys, time

DEVICE, SERVERS = "10.77.0.1", ["10.77.0.2", "10.77.0.3", "10.77.0.4", "10.77.0.5"]
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class Records:
    """One direction of a connection, read as TLS 1.3 if it is that. How a sender cuts its bytes into records depends on
    when they are ready: each record costs 22 bytes. The content is without those, and without the goodbye."""
    def __init__(self):
        self.rest, self.isTLS = b"", None

    def content(self, data):
        if self.isTLS is None:
            self.isTLS = data[0] == 22
        if not self.isTLS:
            return len(data)
        self.rest += data
        total = 0
        while len(self.rest) >= 5:
            size = int.from_bytes(self.rest[3:5], "big")
            if len(self.rest) < 5 + size:
                break
            inner = size - 17
            # Encrypted; an alert is of two bytes.
            if self.rest[0] != 23:
                total += 5 + size
            elif inner != 2:
                total += inner
            self.rest = self.rest[5 + size:]
        return total


class Flow:
    """One TCP connection: the highest sequence number that each side has sent, to count each byte once."""
    def __init__(self):
        self.high = [None, None]
        self.ended = [False, False]
        self.records = [Records(), Records()]


class Counter:
    """Counts on the side of the sender, so that a lost packet and its repetition count once."""
    epoch = 0

    def __init__(self):
        self.flows = {}
        # What earlier connections still say, such as their goodbyes, is not counted.
        self.past = set()
        self.reset()

    def begin(self):
        """Counts from here on, and new connections only."""
        self.past |= self.flows.keys()
        self.flows = {}
        self.reset()

    def reset(self):
        self.epoch += 1
        self.content = [0, 0]
        self.bytes, self.wire, self.packets, self.retransmitted = [0, 0], [0, 0], [0, 0], 0
        self.opened, self.ports, self.refused = 0, set(), 0
        # The depth of a packet: how many round trips had to come before it. Seen: the deepest that has come to each side.
        self.seen = [0, 0]

    def note(self, side, packet):
        """Counts a packet that a side sends (0: the device), and returns its depth (of this epoch), or None if it
        carries nothing new."""
        if packet[0] >> 4 != 4 or packet[9] != 6:
            return None
        header = (packet[0] & 15) * 4
        source, target, sequence = struct.unpack_from("!HHI", packet, header)
        flags, offset = packet[header + 13], (packet[header + 12] >> 4) * 4
        total = struct.unpack_from("!H", packet, 2)[0]
        size = total - header - offset
        key = (source, target, packet[16:20]) if side == 0 else (target, source, packet[12:16])
        start = bool(flags & 2)
        if start and side == 0:
            self.past.discard(key)
        if key in self.past:
            return None
        self.packets[side] += 1
        self.wire[side] += len(packet)
        flow = self.flows.get(key)
        if start and side == 0 and (flow is None or flow.high[0] is not None and flow.high[0] != (sequence + 1) & 0xFFFFFFFF):
            flow = self.flows[key] = Flow()
            self.opened += 1
            self.ports.add(target)
        if flow is None:
            flow = self.flows[key] = Flow()
        if flags & 4:
            flow.ended = [True, True]
        elif flags & 1:
            flow.ended[side] = True
        end = (sequence + size + start) & 0xFFFFFFFF
        high = flow.high[side]
        new = start or size if high is None else max(0, ((end - high + 0x80000000) & 0xFFFFFFFF) - 0x80000000)
        if high is not None and (size or start) and new < size + start:
            self.retransmitted += 1
        if not new:
            return None
        flow.high[side] = end
        fresh = min(new, size)
        self.bytes[side] += fresh
        if fresh:
            self.content[side] += flow.records[side].content(packet[total - fresh:total])
        return self.epoch, self.seen[1] if side else self.seen[0] + 1

    def arrived(self, side, note):
        epoch, depth = note
        if epoch == self.epoch:
            self.seen[side] = max(self.seen[side], depth)

    def figures(self):
        return {
            "bytesUp": self.content[0], "bytesDown": self.content[1], "tcpUp": self.bytes[0], "tcpDown": self.bytes[1],
            "roundTrips": self.seen[0],
            "connections": self.opened, "ports": sorted(self.ports), "wireUp": self.wire[0], "wireDown": self.wire[1],
            "packets": sum(self.packets), "retransmitted": self.retransmitted, "refused": self.refused,
            "open": sum(not all(flow.ended) for flow in self.flows.values()),
        }


class Shape:
    """delay in seconds, one way; rate in bits a second or 0; loss from 0 to 1; ports that a firewall lets through."""
    def __init__(self, delay=0, rate=0, loss=0, ports=None, seed=1):
        self.delay, self.rate, self.loss, self.ports = delay, rate, loss, ports
        self.dice = [random.Random(seed), random.Random(seed + 1)]
        self.free = [0.0, 0.0]

    def refuses(self, side, packet):
        if self.ports is None or packet[0] >> 4 != 4:
            return False
        if packet[9] != 6:
            return packet[9] != 1
        header = (packet[0] & 15) * 4
        return struct.unpack_from("!H", packet, header + (0 if side else 2))[0] not in self.ports

    def departure(self, side, size, now):
        """When the packet has come to the other side; None if it is lost, by chance or because the queue is full."""
        if self.loss and self.dice[side].random() < self.loss:
            return None
        if self.rate:
            start = max(now, self.free[side])
            # A quarter of a second of queue, as a modem has.
            if start - now > 0.25:
                return None
            self.free[side] = now = start + size * 8 / self.rate
        return now + self.delay


def tunnel(namespace, name):
    """A TUN device in the namespace of a process; the handle is good anywhere."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/proc/{namespace}/ns/net", os.O_RDONLY)
    if libc.setns(there, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(handle, 0x400454CA, struct.pack("16sH", name.encode(), 0x1001))
    libc.setns(own, CLONE_NEWNET)
    os.close(own), os.close(there)
    return handle


def serve(device, server):
    handles = [tunnel(device, "link"), tunnel(server, "link")]
    print("ready", flush=True)
    counter, shape, waiting, number = Counter(), Shape(), [], 0
    os.set_blocking(0, False)
    rest = b""
    poll = select.poll()
    for handle in [0] + handles:
        poll.register(handle, select.POLLIN)
    while True:
        timeout = max(0, waiting[0][0] - time.monotonic()) * 1000 if waiting else None
        ready = [handle for handle, _ in poll.poll(timeout)]
        for side in (0, 1):
            if handles[side] not in ready:
                continue
            for _ in range(64):
                try:
                    packet = os.read(handles[side], 65536)
                except BlockingIOError:
                    break
                if packet[0] >> 4 == 6:
                    continue  # neighbours and routers of IPv6, which nothing here uses
                if shape.refuses(side, packet):
                    counter.refused += 1
                    continue
                note = counter.note(side, packet)
                when = shape.departure(side, len(packet), time.monotonic())
                if when is not None:
                    number += 1
                    heapq.heappush(waiting, (when, number, side, note, packet))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, side, note, packet = heapq.heappop(waiting)
            if note:
                counter.arrived(1 - side, note)
            try:
                os.write(handles[1 - side], packet)
            except OSError:
                pass  # the other side is going down
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                order = json.loads(line)
                if "shape" in order:
                    shape = Shape(**order["shape"])
                answer = counter.figures()
                if order.get("reset"):
                    counter.reset()
                if order.get("begin"):
                    counter.begin()
                print(json.dumps(answer), flush=True)


class Link:
    """Lays the link. `inDevice` and `inServer` are what a command is begun with to run there."""
    kind = "network namespaces"
    addresses = SERVERS

    def __init__(self):
        self.holders, self.process = [], None
        try:
            self._lay()
        except BaseException:
            self.close()
            raise

    def _lay(self):
        for _ in range(2):
            holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 86400"], stdout=subprocess.PIPE)
            self.holders.append(holder)
            if not holder.stdout.readline():
                raise PermissionError("network namespaces cannot be made here")
        self.device, self.server = (holder.pid for holder in self.holders)
        self.inDevice, self.inServer = (
            ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "--"] for holder in self.holders)
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(self.device), str(self.server)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        if not self.process.stdout.readline():
            raise PermissionError("TUN devices cannot be made here")
        for inside, own in ((self.inDevice, [DEVICE]), (self.inServer, SERVERS)):
            for command in [["lo", "up"], ["link", "up"]]:
                subprocess.run([*inside, "ip", "link", "set", "dev", *command], check=True)
            for address in own:
                subprocess.run([*inside, "ip", "address", "add", address + "/24", "dev", "link"], check=True)

    def _ask(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def endpoints(self):
        web, margo, grpc, inspector = SERVERS
        return {"address": web + ":443", "margo": margo + ":443", "grpc": grpc + ":443", "inspector": inspector + ":443",
                "ssh": web + ":22"}

    seen_by_device = endpoints

    def shape(self, delay=0, rate=0, loss=0, ports=None, seed=1):
        self._ask(shape={"delay": delay, "rate": rate, "loss": loss, "ports": ports, "seed": seed}, reset=True)

    def figures(self, reset=False):
        return self._ask(reset=reset)

    def begin(self):
        self._ask(begin=True)

    def settled(self, patience=3):
        """The figures when all connections have ended, goodbyes and all."""
        deadline = time.monotonic() + patience
        while (figures := self.figures())["open"] and time.monotonic() < deadline:
            time.sleep(0.02)
        return figures

    def close(self):
        for process in [self.process, *self.holders]:
            if process:
                process.kill()
                process.wait()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
