"""A board's files."""

import os
from pathlib import Path

from segjax._errors import InputError
from segjax.io import output_folder, write_atomic
from segjax.leaderboard.boards import Board


def check_writable(folder: str | Path) -> None:
    """Refuse a folder that cannot be written to, before anything is computed for it.

    Raises:
        InputError: if it, or what it would be made in, is no folder or is protected.
    """
    there = next(p for p in (Path(folder), *Path(folder).absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(f"{there}: is no folder that can be written to; choose another --output")


def write(folder: str | Path, board: Board) -> dict[str, Path]:
    """Write `leaderboard.json`, tables as CSV, Markdown and LaTeX, and the page.

    Everything is made before anything is written, and each file is written whole or not at all.

    Returns:
        The files, by what they are.

    Raises:
        InputError: if the folder cannot be made, or a file not be written.
    """
    folder = output_folder(folder)
    texts = {
        "board": ("leaderboard.json", board.to_json()),
        "csv": ("leaderboard.csv", board.to_csv()),
        "markdown": ("leaderboard.md", board.to_markdown()),
        "latex": ("leaderboard.tex", board.to_latex()),
        "page": ("index.html", board.to_html()),
    }
    for name, text in texts.values():
        write_atomic(folder / name, text)
    return {kind: folder / name for kind, (name, _) in texts.items()}
