"""Options of commands that several hosts may run together."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from segjax._errors import InputError
from segjax.hosts import ALONE, Hosts, join, missed


_OPTIONS = ("--hosts", "--host-id", "--host-count")


def on_hosts(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options `hosts`, `host_id` and `host_count`."""
    for option in (
        click.option("--host-count", type=click.IntRange(min=1), help="How many hosts there are."),
        click.option("--host-id", type=click.IntRange(min=0), help="Which of them this is."),
        click.option(
            "--hosts",
            metavar="ADDRESS:PORT|auto",
            help="Share the work with others that run the same command: where host 0 listens, or "
            "auto under Slurm, Open MPI and on pods of TPUs.",
        ),
    ):
        command = option(command)
    return command


def joined_hosts(hosts: str | None, index: int | None, number: int | None) -> Hosts:
    """The hosts that the options mean, joined; only this one if they say nothing."""
    if hosts is not None:
        return join(hosts, index, number)
    if index is not None or number is not None:
        raise InputError("--host-id and --host-count go with --hosts; give the address of host 0")
    return ALONE


def without_hosts(typed: Sequence[str]) -> list[str]:
    """A command line without these options, which change nothing that is found."""
    kept, skip = [], False
    for word in typed:
        if not skip and word.partition("=")[0] not in _OPTIONS:
            kept.append(word)
        skip = not skip and word in _OPTIONS
    return kept


def leave_if_missed(status: int) -> None:
    """After a failure that other hosts do not know of, end at once: they find the process gone.

    An orderly end would wait for theirs, and they for this process.
    """
    if missed():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
