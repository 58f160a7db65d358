"""Units by their short and long names, and the words that may stand after a number.

A known unit equals only itself, whatever it is called: `5 hrs` is `5 hours`, and `5 m` is not `5 miles`. Other plain
nouns name what was counted (`72 clips`). Words of grammar, of numbers and of arithmetic never do, so that
`5 is wrong`, `5 through nine` and `5 lakh` are not five of something.
"""

import re
from fractions import Fraction

from grpo_job.rewards.words import PARTS, SMALL

_NAMES = """
meter: m meters metre metres | kilometer: km kms kilometers kilometre kilometres | centimeter: cm cms centimeters
centimetre centimetres | millimeter: mm millimeters millimetre millimetres | mile: mi miles | yard: yd yds yards |
foot: ft feet | inch: in inches | nanometer: nm nanometers | gram: g grams gramme grammes | kilogram: kg kgs kilograms
kilo kilos | milligram: mg mgs milligrams | microgram: µg μg mcg micrograms | ton: tons | tonne: t tonnes | lb: lbs |
ounce: oz ounces | liter: l L liters litre litres | milliliter: ml mL milliliters millilitre millilitres | gallon: gal
gals gallons | quart: qt qts quarts | pint: pt pts pints | second: s sec secs seconds | minute: min mins minutes |
hour: h hr hrs hours | day: days | week: wk wks weeks | month: mo mos months | year: yr yrs years |
millisecond: ms milliseconds | hertz: Hz hz | kilohertz: kHz | megahertz: MHz | volt: V v volts | watt: W w watts |
kilowatt: KW kW kw kilowatts | megawatt: MW megawatts | milliwatt: mW milliwatts | joule: J joules | kilojoule: kJ
kilojoules | newton: N newtons | pascal: Pa pascals | kelvin: K kelvins | mole: mol mols moles | ampere: A amp amps
amperes | ohm: Ω ohms | calorie: cal calories | byte: bytes | kilobyte: KB kB kb kilobytes | megabyte: MB mb megabytes |
gigabyte: GB gb gigabytes | terabyte: TB tb terabytes | percent: % percents pct percentage | degree: deg degs degrees |
radian: rad rads radians | celsius: C centigrade | fahrenheit: F | acre: acres | hectare: ha hectares | cup: cups |
dollar: $ us$ dollars usd buck bucks | cent: cents ¢ pennies penny pence | euro: € euros eur | gbp: £ |
pound: pounds | rupee: ₹ rupees rs rs. inr | yen: ¥ jpy | yuan: cny rmb | krona: kr kronor kroner sek nok dkk |
cad: | aud: | chf: francs franc | am: a.m | pm: p.m |
tablespoon: tbsp tbsps tablespoons | teaspoon: tsp tsps teaspoons |
mph: | kph: kmh | unit: units
"""
_PLURALS_LISTED = "people person,children child,men man,women woman,mice mouse,geese goose,teeth tooth"
_PLURALS = dict(pair.split() for pair in _PLURALS_LISTED.split(","))
# How many of the last of a row go into each; only what is said in two units (`5 feet 6 inches`) is worked out.
_SIZES_LISTED = """dollar 100 cent 1, euro 100 cent 1, gbp 100 cent 1, pound 100 cent 1, week 604800 day 86400 hour 3600
    minute 60 second 1, mile 63360 yard 36 foot 12 inch 1, kilometer 1000000 meter 1000 centimeter 10 millimeter 1,
    pound 16 lb 16 ounce 1, kilogram 1000 gram 1, liter 1000 milliliter 1, gallon 8 quart 2 pint 1, year 12 month 1"""
_SIZES = [
    {name: int(size) for name, size in zip(row.split()[::2], row.split()[1::2], strict=True)}
    for row in _SIZES_LISTED.split(",")
]
_NEVER_LISTED = """
    and or not but nor if than then else unless except without excluding including instead because since though while
    until till through thru to up upto down between among above below beyond versus vs either neither both another is
    are was were be been being am's isn't wasn't aren't has have had do does did will would could should may might
    must can cannot can't won't don't give take no yes never none nope maybe perhaps possibly probably guess sure
    unsure again also least most thus ish st nd rd th onward onwards upward upwards plus minus times over under by
    divided multiplied modulo mod choose factorial squared cubed base power raised root sqrt pi sin cos tan log ln
    infinity twice thrice fold tens hundredth hundredths thousandth thousandths hundred hundreds thousand thousands
    million millions billion billions trillion trillions mil bn mn lakh lakhs crore crores score scores gross couple
    lots plusminus quadrillion quintillion arab myriad grand lac lacs tops
"""
_NEVER = frozenset(_NEVER_LISTED.split()) | SMALL.keys() | PARTS.keys() - {"quarter", "quarters"}
_NEVER_LAST = frozenset(
    str.split("wrong wrongs incorrect false true double triple max minimum maximum positive negative")
)
_MULTIPLES = frozenset(("dozen", "dozens", "doz"))  # part of a unit that has to be in both answers
_FILLERS = frozenset(str.split("in of for on at from with more fewer less left remaining altogether total away"))
_RATES = {"mph": ["mile", "per", "hour"], "kph": ["kilometer", "per", "hour"]}


def _table() -> dict[str, str]:
    table = {}
    for entry in " ".join(_NAMES.split()).split(" | "):
        name, _, spellings = entry.partition(":")
        table.update(dict.fromkeys([name, *spellings.split()], name))
    return table


_KNOWN = _table()
_MONEY = frozenset(str.split("dollar cent euro gbp pound rupee yen yuan krona cad aud chf"))
_POWER = re.compile(r"(.+?)\^?([23])")


def known(word: str) -> str | None:
    """The unit of that name. Capitals tell short names apart: MW is not mW.

    >>> known("hrs"), known("Feet"), known("clips")
    ('hour', 'foot', None)
    """
    word = word.rstrip(".")
    return _KNOWN.get(word) or (_KNOWN.get(word.lower()) if len(word) > 2 or word.isupper() else None)


def may_follow(words: list[str]) -> bool:
    """Whether the words can name what was counted or measured.

    >>> may_follow(["red", "marble"]), may_follow(["is", "wrong"]), may_follow(["lakh"]), may_follow(["in", "total"])
    (True, False, False, True)
    """
    plain = [_POWER.sub(r"\1", word.rstrip(".")) for word in words]
    lowered = ["month" if word == "May" else word.lower() for word in plain]
    if not words:
        return True
    if not _NEVER.isdisjoint(lowered) or lowered[-1] in _NEVER_LAST:
        return False
    nouns = (len(word) > 1 or word == "a" or known(word) or not word.isascii() for word in plain)
    return lowered[-1] != "per" and all(nouns)


def total(parts: list[tuple[Fraction, str]]) -> tuple[Fraction, str] | None:
    """What is said in several units, the largest first, in that one; None where they do not go into each other.

    >>> total([(Fraction(5), "feet"), (Fraction(6), "inches")])
    (Fraction(11, 2), 'foot')
    """
    names = [known(word) or "" for _, word in parts]
    for sizes in _SIZES:
        if all(name in sizes for name in names):
            row = [sizes[name] for name in names]
            if row != sorted(set(row), reverse=True):
                return None
            smallest = sum((value * size for (value, _), size in zip(parts, row, strict=True)), Fraction())
            return smallest / row[0], names[0]
    return None


def same_amount(value: Fraction, unit: tuple[str, ...], other: Fraction, other_unit: tuple[str, ...]) -> bool:
    """Whether two measures in single units of one kind are the same: 90 minutes and 1.5 hours."""
    names = [known(each[0]) or "" if len(each) == 1 else "" for each in (unit, other_unit)]
    rows = [sizes for sizes in _SIZES if names[0] in sizes and names[1] in sizes]
    return bool(rows) and value * rows[0][names[0]] == other * rows[0][names[1]]


def is_money(unit: tuple[str, ...]) -> bool:
    """Whether it is an amount of a currency."""
    return len(unit) == 1 and known(unit[0]) in _MONEY


def same_units(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the words after two equal numbers can mean one thing; no words contradict only a multiple.

    >>> same_units(("hrs",), ("hours",)), same_units(("m",), ("miles",)), same_units(("dozen",), ())
    (True, False, False)
    """
    left, right = _canonical(one), _canonical(other)
    if _MULTIPLES & set(left) != _MULTIPLES & set(right):
        return False
    if not left or not right:
        return True
    measures = [[word for word in words if word == "per" or _is_measure(word)] for words in (left, right)]
    if ("per" in left) != ("per" in right) and _is_measure(left[0]) and left[0] not in _MONEY:
        return False
    if any(measures):
        return all(measures) and all(_alike(a, b) for a, b in zip(*measures, strict=False))
    return set(left) <= set(right) or set(right) <= set(left)


def _is_measure(name: str) -> bool:
    return name.rstrip("23") in _KNOWN


def _alike(one: str, other: str) -> bool:
    return one == other or {one, other} in ({"pound", "lb"}, {"pound", "gbp"})


def _canonical(words: tuple[str, ...]) -> list[str]:
    """One name for each unit and singular nouns, up to the first word that only fills."""
    found: list[str] = []
    power = ""
    for place, word in enumerate(words):
        lowered = word.lower().rstrip(".")
        if lowered in ("square", "sq", "cubic", "cu"):
            power = "2" if lowered.startswith("sq") else "3"
        elif lowered in ("a", "an", "each", "every") and word != "A":  # amperes
            found.append("per")
        elif lowered in _FILLERS and not (lowered == "in" and place == len(words) - 1):
            break
        elif (name := _name(word, power)) in _RATES:
            found.extend(_RATES[name])
        else:
            found.append(name)
            power = ""
    if found[:2] in (["degree", "celsius"], ["degree", "fahrenheit"]):
        del found[0]
    return found if found != ["per"] else []


def _name(word: str, power: str) -> str:
    if raised := _POWER.fullmatch(word):
        word, power = raised[1], raised[2]
    return (known(word) or _singular(word.lower().rstrip("."))) + power


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("xes", "ches", "shes", "sses", "oes")):
        return word[:-2]
    return _PLURALS.get(word) or (word[:-1] if word.endswith("s") and not word.endswith("ss") else word)
