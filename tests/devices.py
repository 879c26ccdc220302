"""A child process that sees several devices."""

import os
import subprocess
import sys


def run_on(devices: int, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python code that sees so many devices, which XLA makes of one CPU."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"XLA_FLAGS": flags},
        capture_output=True,
        text=True,
    )
