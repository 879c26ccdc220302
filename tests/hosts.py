"""Child processes that are several hosts to each other, on one machine."""

import os
import socket
import subprocess
import sys


def start_hosts(number, *arguments, before=(), **options):
    """Start a command on so many hosts, each with a Python that first does its `before`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return [
        start(
            *arguments,
            *("--hosts", address, "--host-id", i, "--host-count", number),
            before=before[i] if i < len(before) else "",
            **options,
        )
        for i in range(number)
    ]


COMMAND = """
import sys
from segjax.cli import main
sys.exit(main(sys.argv[1:]))
"""


def start(*arguments, before="", code=COMMAND, **options):
    """Start the command, or other code, with a Python that first does `before`."""
    return subprocess.Popen(
        [sys.executable, "-c", before + code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | options.pop("env", {}),
        **options,
    )


def finish(process, timeout=300):
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return process.returncode, out, err


def run_hosts(number, *arguments, **options):
    """What each host says in the end; if one fails, none is left waiting for it."""
    processes = start_hosts(number, *arguments, **options)
    done = [finish(processes[-1])]
    for process in reversed(processes[:-1]):
        done.append(finish(process, timeout=60))
    return done[::-1]
