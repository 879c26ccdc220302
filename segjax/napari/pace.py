"""When to score layers that are being painted on."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class Pace:
    """Decides when a change is scored: once the hand rests, but not too late; one at a time.

    Changes while something is scored are served by one question after it, the newest; an
    answer is therefore never overtaken by an older one, and a brush that never rests still
    gets answers.

    Attributes:
        rest: seconds without a change after which it is scored.
        patience: seconds after which the oldest change is scored at the latest.
        busy: something is being scored.
    """

    rest: float = 0.1
    patience: float = 0.5
    busy: bool = False
    _oldest: float | None = None
    _newest: float = 0.0

    def changed(self, now: float) -> None:
        """Note a change."""
        self._oldest = now if self._oldest is None else self._oldest
        self._newest = now

    def wait(self, now: float) -> float | None:
        """Seconds until it is time to score; None if there is nothing to wait for.

        Example:
            >>> pace = Pace(rest=0.1, patience=0.5)
            >>> pace.wait(now=7.0)
            >>> pace.changed(now=7.0)
            >>> round(pace.wait(now=7.04), 3)
            0.06
        """
        if self.busy or self._oldest is None:
            return None
        due = min(self._newest + self.rest, self._oldest + self.patience)
        return max(0.0, due - now)

    def started(self) -> None:
        """All changes so far are being scored."""
        self.busy, self._oldest = True, None

    def finished(self) -> None:
        """What was being scored is scored, or failed."""
        self.busy = False

    @property
    def settled(self) -> bool:
        """Whether the last answer is of the newest state."""
        return not self.busy and self._oldest is None
