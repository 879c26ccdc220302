"""What a run of assessments leaves behind: scores, summary, and a page with pictures."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from segjax import io
from segjax._version import __version__
from segjax.quality.assessments import Assessments, is_higher_better, objects_csv
from segjax.quality.predict import bounds
from segjax.quality.weights import Assessor, fingerprint
from segjax.report.overlay import Picture
from segjax.report.triage import render_triage
from segjax.table import jsonable


def document_of(
    table: Assessments,
    assessor: Assessor,
    options: Mapping[str, Any],
    pairing: io.Pairing,
    labels: Path,
    command: str,
    calibrated_on: int,
) -> dict[str, Any]:
    """All there is to know of a run, in plain values: what `summary.json` holds."""
    card = assessor.card
    return jsonable(
        {
            "segjax": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command,
            "method": labels.absolute().name,
            "cases": len(table),
            "options": {**options, "overlap": round(options["overlap"], 4)},
            "weights": {
                "name": card.name,
                "data": card.data,
                "limits": card.limits,
                "fingerprint": fingerprint(assessor),
            },
            "calibrated_on": calibrated_on,
            "metrics": [
                {
                    "name": m,
                    "better": "higher" if is_higher_better(m) else "lower",
                    "least": bounds(m)[0],
                    "most": bounds(m)[1],
                }
                for m in table.metrics
            ],
            "unpaired": {"image": pairing.only_reference, "labels": pairing.only_prediction},
            "notes": table.notes,
            "results": [
                {
                    "case": table.cases[i],
                    "scores": {m: s._asdict() for m, s in table.assessments[i].scores.items()},
                    "flags": table.assessments[i].flags,
                    "objects": table.assessments[i].objects,
                    "segmented": table.assessments[i].segmented,
                    "diameter": table.assessments[i].diameter,
                    "diameter_from": table.assessments[i].diameter_from,
                }
                for i in table.worst_first()
            ],
        }
    )


def write(
    output: Path, table: Assessments, document: dict[str, Any], pictures: Mapping[str, Picture]
) -> dict[str, Path]:
    """Make all there is to write, then write it."""
    objects = objects_csv(table.cases, table.assessments)
    contents = {
        "scores.csv": table.to_csv(),
        **({} if objects is None else {"objects.csv": objects}),
        "summary.json": json.dumps(document, indent=1, ensure_ascii=False) + "\n",
        "triage.html": render_triage(document, pictures),
    }
    for name, content in contents.items():
        io.write_atomic(output / name, content)
    return {Path(name).stem: output / name for name in contents}
