"""One form of questions that differ in their spelling alone, so that no held-out one is trained on. Pure."""

import re
import unicodedata

# Punctuation of sentences: quotes, and stops and exclamation marks that belong to no number.
PUNCTUATION = re.compile("[,;:?\"'`\u2018\u2019\u201c\u201d]|\\.(?!\\d)|(?<!\\d)!")
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")  # soft hyphens, joiners, directions
RAISED = re.compile("[\u00b2\u00b3\u00b9\u2070-\u207f]+")  # powers, which NFKC puts on the line: 5\u00b2 is not 52


def normalised(question: str) -> str:
    """A question without differences of case, spacing, Unicode form, invisible characters and sentence punctuation.

    >>> normalised("How many?  It costs $1,000.50, he said.")
    'how many it costs $1000.50 he said'
    """
    text = unicodedata.normalize("NFKC", RAISED.sub(r"^\g<0>", INVISIBLE.sub("", question))).casefold()
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    return " ".join(PUNCTUATION.sub(" ", text).split())
