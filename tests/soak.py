"""How thorough tests are that could go on for ever: `make soak` asks for the full form."""

import os


FULL = bool(os.environ.get("SEGJAX_SOAK"))
