"""Look over an installation and two folders before scoring: what would stop it or change scores."""

from segjax.doctor.environment import Environment as Environment, environment as environment
from segjax.doctor.examination import Examination as Examination, examine as examine
from segjax.doctor.findings import Finding as Finding
