"""Opens a page in headless Chromium, and asks it things.

    page.py CHROMIUM URL

Each line of standard input is a JavaScript expression; it is asked again and again until it is true, and then answered with
`ok`. One that is not true within half a minute, or fails, is answered with what it gave last, and the text of the page.
A line `screenshot PATH` writes a picture of the page.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time


class Browser:
    """Chromium by its DevTools protocol, over a pipe: messages that end with a NUL, on descriptors 3 and 4."""

    def __init__(self, program, folder):
        from_us, self.out = os.pipe()
        self.into, to_us = os.pipe()
        os.set_inheritable(from_us, True)
        os.set_inheritable(to_us, True)

        def arrange():
            # Above both first, so that neither takes the other's place.
            ours = [os.dup(from_us), os.dup(to_us)]
            os.dup2(ours[0], 3)
            os.dup2(ours[1], 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--remote-debugging-pipe", "--user-data-dir=" + folder, "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
            preexec_fn=arrange)
        os.close(from_us)
        os.close(to_us)
        self.rest = b""
        self.number = 0
        self.session = None

    def read(self):
        while b"\0" not in self.rest:
            piece = os.read(self.into, 1 << 16)
            if not piece:
                raise SystemExit("the browser has ended")
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, url):
        target = self.call("Target.createTarget", url=url)["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def ask(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            return answer["exceptionDetails"].get("exception", {}).get("description", "it failed")
        return answer["result"].get("value")


def main():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(sys.argv[1], folder)
        try:
            browser.open(sys.argv[2])
            for line in sys.stdin:
                if line.startswith("screenshot "):
                    picture = browser.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
                    with open(line.split(" ", 1)[1].strip(), "wb") as file:
                        file.write(base64.b64decode(picture))
                    print("ok", flush=True)
                    continue
                end = time.monotonic() + 30
                answer = browser.ask(line)
                while answer is not True and time.monotonic() < end:
                    time.sleep(0.05)
                    answer = browser.ask(line)
                text = browser.ask("document.body && document.body.innerText")
                print("ok" if answer is True else json.dumps([answer, text]), flush=True)
        finally:
            browser.process.terminate()
            browser.process.wait()


main()
