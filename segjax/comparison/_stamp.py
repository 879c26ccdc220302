"""What every comparison says of itself."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from segjax._version import __version__
from segjax.comparison.runs import Run


def stamped(found: dict[str, Any], runs: Sequence[Run], command: str) -> dict[str, Any]:
    """With date, version, command and the files that were read."""
    return {
        "schema": "segjax comparison 1",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "segjax": __version__,
        "command": command,
        **found,
        "sources": [
            {"run": run.name, "path": source.path, "sha256": source.sha256}
            for run in runs
            for source in run.sheet.sources
        ],
    }
