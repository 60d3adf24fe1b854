"""A TCP relay that forgets connections, as a firewall does: nothing of them gets through any more, and nothing says so.

    relay.py --to PORT --forget FILE [--log FILE]

Prints its port, serves until standard input ends. When FILE is written, the connections of that time fall silent; those
made later are relayed.
"""
import argparse, os, socket, sys, threading, time

arguments = argparse.ArgumentParser()
arguments.add_argument("--to", type=int)
arguments.add_argument("--forget")
arguments.add_argument("--log")
arguments = arguments.parse_args()


def forgotten(begun):
    try:
        return os.stat(arguments.forget).st_mtime_ns > begun
    except OSError:
        return False


def pump(source, target, begun):
    try:
        while data := source.recv(65536):
            if forgotten(begun):
                threading.Event().wait()
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(64)
print(listener.getsockname()[1], flush=True)


def accept():
    while True:
        client, _ = listener.accept()
        begun = time.time_ns()
        server = socket.create_connection(("127.0.0.1", arguments.to))
        for pair in ((client, server), (server, client)):
            threading.Thread(target=pump, args=(*pair, begun), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
sys.stdin.read()
os._exit(0)
