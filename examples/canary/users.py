"""Users of the bot: four ask one question after the other until they are sent home, and tell then which version answered what."""

import collections
import signal
import sys
import threading
import time
import urllib.error
import urllib.request

ADDRESS = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
OVER = threading.Event()
ANSWERS, LOCK = collections.Counter(), threading.Lock()


def ask():
    try:
        with urllib.request.urlopen(f"{ADDRESS}/answer?q=returns", timeout=30) as answer:
            return answer.headers["X-Kf-Version"], answer.status
    except urllib.error.HTTPError as no:
        return no.headers["X-Kf-Version"], no.code
    except OSError as no:
        return "nobody", no


def user():
    while not OVER.is_set():
        version, said = ask()
        with LOCK:
            ANSWERS[f"{version}: {said}"] += 1
        time.sleep(0.008)


HOME = {signal.SIGTERM, signal.SIGINT}
signal.pthread_sigmask(signal.SIG_BLOCK, HOME)
users = [threading.Thread(target=user) for _ in range(4)]
for one in users:
    one.start()
signal.sigwait(HOME)
OVER.set()
for one in users:
    one.join()
for said, times in sorted(ANSWERS.items()):
    print(f"{said}, {times} times")
