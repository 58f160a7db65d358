"""Dates and times of day, whose digits are no arithmetic. `05/01/2021` is May 1, as in the United States."""

import re

_MONTHS = str.split("january february march april may june july august september october november december")
_MONTH = rf"(?P<month>{'|'.join(rf'{name[:3]}(?:{name[3:]})?' for name in _MONTHS)}|sept)\.?"
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?"
_DATES = tuple(
    re.compile(rf"(?:(?:on )?(?:the )?(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,? )?){pattern}", re.IGNORECASE)
    for pattern in (
        r"(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})",
        r"(?P<y>\d{4})[-/](?P<m>\d{2})[-/](?P<d>\d{2})",
        rf"{_MONTH} {_DAY}(?:,? (?P<y>\d{{4}}))?",
        rf"{_DAY}(?: of)? {_MONTH}(?:,? (?P<y>\d{{4}}))?",
    )
)
_TIME = re.compile(
    r"(?:at )?(?:(?P<h>\d{1,2})(?::(?P<m>[0-5]\d)(?::00)?)?\s*(?:(?P<half>[ap])\.?\s?m\.?)?|(?P<word>noon|midnight))",
    re.IGNORECASE,
)
_IN_TEXT = (
    *(re.compile(rf"(?<![\w/:.-])(?:{pattern.pattern})(?![\w/-])", re.IGNORECASE) for pattern in _DATES),
    re.compile(r"(?<![\w:.])(?P<y>\d{1,2}(?::[0-5]\d)? ?[ap](?:m\b|\.m\.))", re.IGNORECASE),
)


def last(text: str) -> re.Match[str] | None:
    """The last date with its year, or time of day with its half, that is written in the text.

    >>> last("From May 1, 2021 to 3:30 PM.")[0], last("On the 4th of July there are 3")
    ('3:30 PM', None)
    """
    found = (match for pattern in _IN_TEXT for match in pattern.finditer(text) if match["y"])
    return max(found, key=re.Match.end, default=None)


def date(text: str) -> tuple[int, int, int] | None:
    """Year, month and day; the year is 0 where none is said.

    >>> date("May 1, 2021"), date("05/01/2021"), date("the 4th of July")
    ((2021, 5, 1), (2021, 5, 1), (0, 7, 4))
    >>> date("25/12/2024"), date("30/31/2024")
    ((2024, 12, 25), None)
    """
    for pattern in _DATES:
        if match := pattern.fullmatch(text.strip()):
            parts = match.groupdict()
            month = int(parts.get("m") or 0) or 1 + [name[:3] for name in _MONTHS].index(parts["month"][:3].lower())
            day = int(parts["d"])
            if pattern is _DATES[0] and day <= 12 < month:
                month, day = day, month
            return (int(parts["y"] or 0), month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None
    return None


def minutes(text: str) -> int | None:
    """A time of day, in minutes since midnight; an hour alone is one only with its half of the day.

    >>> minutes("3:30 PM"), minutes("15:30"), minutes("9 a.m."), minutes("noon"), minutes("3:4"), minutes("3")
    (930, 930, 540, 720, None, None)
    """
    match = _TIME.fullmatch(text.strip())
    if match is None or not (match["m"] or match["half"] or match["word"]):
        return None
    if match["word"]:
        return 720 if match["word"].lower() == "noon" else 0
    hour, half = int(match["h"]), (match["half"] or "").lower()
    if hour > 23 or (half and not 1 <= hour <= 12):
        return None
    return 60 * (hour % 12 + (12 if half == "p" else 0) if half else hour) + int(match["m"] or 0)


def day_first(text: str) -> bool | None:
    """Whether a date in digits has its day first; None where it may be either, or is none.

    >>> day_first("25/12/2024"), day_first("12/25/2024"), day_first("05/06/2024"), day_first("05/05/2024")
    (True, False, None, False)
    """
    match = _DATES[0].fullmatch(text.strip())
    if match is None:
        return None
    first, second = int(match["m"]), int(match["d"])
    return first > second if max(first, second) > 12 or first == second else None
