"""The link where namespaces cannot be made: connections over loopback pass a process that delays and limits them.

It cannot lose packets, and of a connection it sees the bytes, not the packets. The figures say that they are its.
"""
import asyncio, json, socket, subprocess, sys


class State:
    def __init__(self):
        self.shape = {"delay": 0, "rate": 0, "ports": None}
        self.free = [0.0, 0.0]
        self.reset()

    def reset(self):
        self.bytes, self.seen, self.opened, self.ports, self.refused = [0, 0], [0, 0], 0, set(), 0

    def figures(self):
        return {"bytesUp": self.bytes[0], "bytesDown": self.bytes[1], "roundTrips": self.seen[0],
                "connections": self.opened, "ports": sorted(self.ports), "wireUp": 0, "wireDown": 0, "packets": 0,
                "retransmitted": 0, "refused": self.refused}


state = State()


async def pump(side, reader, writer):
    loop = asyncio.get_running_loop()

    def deliver(data, depth):
        state.seen[1 - side] = max(state.seen[1 - side], depth)
        if not writer.is_closing():
            writer.write(data) if data else writer.close()

    while True:
        try:
            data = await reader.read(1 << 14)
        except ConnectionError:
            data = b""
        now = loop.time()
        depth = (state.seen[1] if side else state.seen[0] + 1) if data else 0
        state.bytes[side] += len(data)
        if state.shape["rate"]:
            state.free[side] = now = max(now, state.free[side]) + len(data) * 8 / state.shape["rate"]
            await asyncio.sleep(max(0, now - loop.time() - 0.25))
        loop.call_at(now + state.shape["delay"], deliver, data, depth)
        if not data:
            return


async def main(pairs):
    async def accept(reader, writer, port, target):
        state.opened += 1
        state.ports.add(port)
        if state.shape["ports"] is not None and port not in state.shape["ports"]:
            state.refused += 1
            return writer.close()
        # The handshake of TCP is a round trip as well.
        state.seen[0] += 1
        await asyncio.sleep(2 * state.shape["delay"])
        try:
            onward, onwards = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            return writer.close()
        await asyncio.gather(pump(0, reader, onwards), pump(1, onward, writer), return_exceptions=True)

    for listen, target, port in pairs:
        await asyncio.start_server(
            lambda reader, writer, port=port, target=target: accept(reader, writer, port, target), "127.0.0.1", listen)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print("ready", flush=True)
    while line := await lines.readline():
        order = json.loads(line)
        if "shape" in order:
            state.shape = order["shape"]
        answer = state.figures()
        if order.get("reset"):
            state.reset()
        print(json.dumps(answer), flush=True)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Relay:
    kind = "a relay on loopback, which loses nothing"
    inDevice, inServer = [], []
    addresses = ["127.0.0.1"]
    # The ports that the servers would have.
    official = {"address": 443, "margo": 443, "grpc": 443, "inspector": 443, "ssh": 22}

    def __init__(self):
        ports = free_ports(2 * len(self.official))
        self.servers = dict(zip(self.official, ports))
        self.listens = dict(zip(self.official, ports[len(self.official):]))
        pairs = [(self.listens[name], self.servers[name], port) for name, port in self.official.items()]
        self.process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(pairs)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def endpoints(self):
        return {name: f"127.0.0.1:{port}" for name, port in self.servers.items()}

    def seen_by_device(self):
        return {name: f"127.0.0.1:{port}" for name, port in self.listens.items()}

    def _ask(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def shape(self, delay=0, rate=0, loss=0, ports=None, seed=1):
        self._ask(shape={"delay": delay, "rate": rate, "ports": ports}, reset=True)

    def figures(self, reset=False):
        return self._ask(reset=reset)

    def begin(self):
        self.figures(reset=True)

    def settled(self):
        return self.figures()

    def close(self):
        self.process.kill()
        self.process.wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
