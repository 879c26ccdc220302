"""A board's files."""

from pathlib import Path

from segjax._errors import InputError
from segjax.io import write_atomic
from segjax.leaderboard.boards import Board


def write(folder: str | Path, board: Board) -> dict[str, Path]:
    """Write `leaderboard.json`, tables as CSV, Markdown and LaTeX, and the page.

    Everything is made before anything is written, and each file is written whole or not at all.

    Returns:
        The files, by what they are.

    Raises:
        InputError: if the folder cannot be made, or a file not be written.
    """
    folder = Path(folder)
    texts = {
        "board": ("leaderboard.json", board.to_json()),
        "csv": ("leaderboard.csv", board.to_csv()),
        "markdown": ("leaderboard.md", board.to_markdown()),
        "latex": ("leaderboard.tex", board.to_latex()),
        "page": ("index.html", board.to_html()),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be made ({error.strerror}); choose another --output"
        ) from None
    for name, text in texts.values():
        write_atomic(folder / name, text)
    return {kind: folder / name for kind, (name, _) in texts.items()}
