"""Text from the command line, and to it."""


def shown(text: str) -> str:
    """On one line, without what would steer a terminal: names are anybody's."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def split(text: str | None) -> list[str] | None:
    """Split at the commas that are outside brackets."""
    if text is None:
        return None
    parts, depth = [""], 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts if part.strip()]
