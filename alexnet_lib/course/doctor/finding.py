"""What a check of the doctor says."""

from dataclasses import dataclass, field

OK, LOOK, WRONG = "ok", "look", "wrong"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    verdict: "ok", "look" (may be meant so) or "wrong". message: what was found and, unless all is
    well, what to do. numbers: what it rests on, fit for JSON. fatal: no further check makes sense
    before this is mended.
    """

    name: str
    verdict: str
    message: str
    numbers: dict = field(default_factory=dict)
    fatal: bool = False
