"""Dates and times of day, for which digits are no arithmetic. `05/01/2021` is read as in the United States: May 1."""

import re

_MONTHS_LISTED = """january february march april may june july august september october november december"""
_MONTHS = _MONTHS_LISTED.split()
_MONTH = r"(?P<month>[A-Za-z]{3,9})\.?"
_DATES = (
    re.compile(r"(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})"),
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})"),
    re.compile(rf"{_MONTH} (?P<d>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y>\d{{4}})"),
    re.compile(rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH},? (?P<y>\d{{4}})"),
)
_TIME = re.compile(r"(?P<h>\d{1,2}):(?P<m>[0-5]\d)(?::00)?\s*(?:(?P<half>[ap])\.?m\.?)?", re.IGNORECASE)


def date(text: str) -> tuple[int, int, int] | None:
    """Year, month and day.

    >>> date("May 1, 2021"), date("05/01/2021")
    ((2021, 5, 1), (2021, 5, 1))
    """
    for pattern in _DATES:
        if match := pattern.fullmatch(text.strip()):
            parts = match.groupdict()
            month = int(parts["m"]) if parts.get("m") else _month(parts["month"])
            return (int(parts["y"]), month, int(parts["d"])) if 1 <= month <= 12 else None
    return None


def _month(name: str) -> int:
    return next((place for place, month in enumerate(_MONTHS, start=1) if month.startswith(name.lower())), 0)


def minutes(text: str) -> int | None:
    """A time of day with hours and minutes, in minutes since midnight.

    >>> minutes("3:30 PM"), minutes("15:30"), minutes("3:4")
    (930, 930, None)
    """
    match = _TIME.fullmatch(text.strip())
    if match is None or int(match["h"]) > 23 or (match["half"] and not 1 <= int(match["h"]) <= 12):
        return None
    hour = int(match["h"])
    if match["half"]:
        hour = hour % 12 + (12 if match["half"].lower() == "p" else 0)
    return 60 * hour + int(match["m"])
