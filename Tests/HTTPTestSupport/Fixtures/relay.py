"""A TCP relay that forgets connections, as a firewall does: nothing of them gets through any more, and nothing says so.

    relay.py --to PORT --forget FILE

Prints its port, serves until standard input ends. When FILE is written, the connections of that time fall silent; those
made later are relayed.
"""
import argparse, os, socket, sys, threading

arguments = argparse.ArgumentParser()
arguments.add_argument("--to", type=int)
arguments.add_argument("--forget")
# Every server of the tests is told where to log.
arguments.add_argument("--log")
arguments = arguments.parse_args()


def written():
    """What tells one writing of the file from another. No clock is asked: a file's time is behind the clock by some milliseconds."""
    try:
        found = os.stat(arguments.forget)
        return found.st_ino, found.st_mtime_ns
    except OSError:
        return None


def pump(source, target, begun):
    try:
        while data := source.recv(65536):
            if written() != begun:
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
        begun = written()
        server = socket.create_connection(("127.0.0.1", arguments.to))
        for pair in ((client, server), (server, client)):
            threading.Thread(target=pump, args=(*pair, begun), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
sys.stdin.read()
os._exit(0)
