"""The parts of the page, one a file: from a `Content` to HTML."""
