"""One page that says which segmentations to look at first, where there is no truth."""

from segjax.report.triage.page import render_triage as render_triage
from segjax.report.triage.picture import doubt_picture as doubt_picture
