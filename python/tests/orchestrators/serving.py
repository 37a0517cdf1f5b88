"""Starts the programs of an orchestrator, says on standard output where it is, and ends them when standard input closes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
#: Seconds until a server must answer; Airflow makes its tables first, on two cores that do other things as well.
PATIENCE = 280


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(arguments, folder, **variables):
    """A program of this interpreter's environment, in a process group of its own; what it says goes to a file."""
    log = open(os.path.join(folder, "orchestrator.log"), "ab")
    python_path = os.pathsep.join([os.path.join(HERE, "..", ".."), HERE])
    environment = {
        **os.environ, "PYTHONPATH": python_path, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"],
        "NO_PROXY": "127.0.0.1,localhost", "DO_NOT_TRACK": "1", "HOME": folder, **variables,
    }
    command = [sys.executable, *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


def ask(url, body=None, headers=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def wait_for(what, processes, folder):
    """Returns what `what` returns as soon as it is true; fails when it is not in time, or a program has ended."""
    until = time.monotonic() + PATIENCE
    error = None
    while time.monotonic() < until and all(process.poll() is None for process in processes):
        try:
            if found := what():
                return found
        except (OSError, ValueError, KeyError, urllib.error.URLError) as problem:
            error = problem
        time.sleep(0.3)
    end(processes)
    with open(os.path.join(folder, "orchestrator.log"), errors="replace") as log:
        sys.exit(f"it does not answer: {error}\n{log.read()[-4000:]}")


def end(processes):
    for process in processes:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def serve(facts, processes):
    """Tells the test where it is, and stays until the test has ended."""
    print(json.dumps(facts), flush=True)
    sys.stdin.read()
    end(processes)
