"""Units by their short and long names, and the words that may stand behind a number.

A known unit equals only itself, whatever it is called: `5 hrs` is `5 hours`, and `5 m` is not `5 miles`. Counted
things (`72 clips`) are plain English nouns: a plural, or a singular behind one. Words of grammar, number words
and words of arithmetic are never a unit, so `5 is wrong` and `5 through nine` are no number.
"""

import re

_NAMES = """
meter: m meters metre metres | kilometer: km kms kilometers kilometre kilometres | centimeter: cm cms centimeters
centimetre centimetres | millimeter: mm millimeters millimetre millimetres | mile: mi miles | yard: yd yds yards |
foot: ft feet | inch: inches | nanometer: nm nanometers | gram: g grams gramme grammes | kilogram: kg kgs kilograms
kilo kilos | milligram: mg mgs milligrams | microgram: µg μg mcg micrograms | ton: tons | tonne: t tonnes | lb: lbs |
ounce: oz ounces | liter: l L liters litre litres | milliliter: ml mL milliliters millilitre millilitres | gallon: gal
gals gallons | quart: qt qts quarts | pint: pt pts pints | second: s sec secs seconds | minute: min mins minutes |
hour: h hr hrs hours | day: days | week: wk wks weeks | month: mo mos months | year: yr yrs years |
millisecond: ms milliseconds | hertz: Hz hz | kilohertz: kHz | megahertz: MHz | volt: V v volts | watt: W w watts |
kilowatt: kW kw kilowatts | megawatt: MW megawatts | milliwatt: mW milliwatts | joule: J joules | kilojoule: kJ
kilojoules | newton: N newtons | pascal: Pa pascals | kelvin: K kelvins | mole: mol mols moles | ampere: A amp amps
amperes | ohm: Ω ohms | calorie: cal calories | byte: bytes | kilobyte: KB kB kb kilobytes | megabyte: MB mb megabytes |
gigabyte: GB gb gigabytes | terabyte: TB tb terabytes | percent: % | degree: deg degs degrees |
radian: rad rads radians |
celsius: C centigrade | fahrenheit: F | dollar: $ dollars usd USD buck bucks | cent: cents ¢ | euro: € euros eur EUR |
gbp: £ GBP | pound: pounds | rupee: ₹ rupees rs Rs | yen: ¥ | krona: kr kronor kroner | am: AM a.m | pm: PM p.m |
acre: acres | hectare: ha hectares | cup: cups | tablespoon: tbsp tbsps tablespoons | teaspoon: tsp tsps teaspoons |
kph: kmh | mph: | person: people persons | child: children | man: men | woman: women | mouse: mice | goose: geese |
tooth: teeth | unit: units
"""
_MULTIPLES_LISTED = """dozen dozens score scores gross myriad lots couple"""
_MULTIPLES = frozenset(_MULTIPLES_LISTED.split())
_COUNTED_LISTED = """fish sheep deer cattle staff homework fruit furniture chicken shrimp salmon money time work
    bread rice flour sugar water milk juice total hundredweight horsepower cm² people yen baht
    yuan won kr more fewer less extra left remaining altogether overall each per point"""
_COUNTED = frozenset(_COUNTED_LISTED.split())
_GRAMMAR_LISTED = """it nope wrongs
    and or not but nor plus minus times over pi sqrt sin cos tan log ln to half halves third
    thirds fourth fourths fifth fifths sixth sixths eighth eighths tenth tenths hundredths
    thousandths hundred hundreds thousand thousands million millions billion billions trillion
    trillions lakh lakhs crore crores is are was were be been isn't wasn't aren't am's has have
    had does do did will would could should may might can cannot can't must wrong incorrect
    false true right maybe perhaps possibly probably either neither if unless except than
    through thru until till upto versus vs mod modulo choose factorial squared cubed base power
    raised minus divided multiplied no never unknown zero one two three four five six seven
    eight nine ten eleven twelve twenty thirty forty fifty sixty seventy eighty ninety this
    these those which what how why who also thus his its as because so then again plusminus
    instead another other between yes guess sure unsure"""
_GRAMMAR = frozenset(_GRAMMAR_LISTED.split())
_FILLERS_LISTED = """in of for on at from with more left remaining altogether total overall"""
_FILLERS = frozenset(_FILLERS_LISTED.split())
_RATES = {"mph": ("mile", "per", "hour"), "kph": ("kilometer", "per", "hour")}


def _table() -> dict[str, str]:
    table = {}
    for entry in " ".join(_NAMES.split()).split(" | "):
        name, _, spellings = entry.partition(":")
        table.update(dict.fromkeys([name, *spellings.split()], name))
    return table


_KNOWN = _table()
_MONEY_LISTED = """dollar cent euro gbp pound rupee yen krona"""
_MONEY = frozenset(_MONEY_LISTED.split())
_POWER = re.compile(r"(.+?)(?:\^?([23])|([²³]))")


def _known(word: str) -> str | None:
    """The unit of that name. Capitals tell short names apart: MW is not mW."""
    word = word.rstrip(".")
    return _KNOWN.get(word) or (_KNOWN.get(word.lower()) if len(word) > 2 or word.isupper() else None)


def may_follow(words: list[str], *, single: bool) -> bool:
    """Whether the words are what was counted or measured; `single`: the number is one, or less.

    >>> may_follow(["red", "marbles"], single=False), may_follow(["is", "wrong"], single=False)
    (True, False)
    """
    plain = [re.sub(r"\^?[23]$|[²³]$", "", word.rstrip(".")) for word in words]
    lowered = [word.lower() for word in plain]
    if not words:
        return True
    if not _GRAMMAR.isdisjoint(lowered) or lowered[0] in ("a", "an", "the"):
        return lowered[:1] == ["to"]
    if lowered in (["in"], ["square", "in"], ["sq", "in"], ["cubic", "in"]):
        return True
    return any(_is_thing(word, single=single) for word in plain[:5])


def _is_thing(word: str, *, single: bool) -> bool:
    lowered = word.lower()
    if _known(word) or lowered in _COUNTED or lowered in _MULTIPLES:
        return True
    return len(lowered) > 2 and (single or (lowered.endswith("s") and not lowered.endswith(("ss", "us"))))


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
    if ("per" in left) != ("per" in right) and left[0] not in _MONEY and left[0] in _KNOWN:
        return False
    return all(_alike(a, b) for a, b in zip(left, right, strict=False))


def _alike(one: str, other: str) -> bool:
    return one == other or {one, other} in ({"pound", "lb"}, {"pound", "gbp"})


def _canonical(words: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    power = ""
    listed = list(words)
    if listed and listed[-1].lower().rstrip(".") == "in":
        listed[-1] = "inch"
    for word in listed:
        lowered = word.lower().rstrip(".")
        if lowered in ("square", "sq"):
            power = "2"
        elif lowered in ("cubic", "cu"):
            power = "3"
        elif lowered in ("a", "an", "each", "every"):
            found.append("per")
        elif lowered in _FILLERS:
            break
        elif lowered in _RATES or _known(word) in _RATES:
            found.extend(_RATES[_known(word) or lowered])
        else:
            found.append(_name(word, power))
            power = ""
    if found[:2] in (["degree", "celsius"], ["degree", "fahrenheit"]):
        del found[0]
    return found if found != ["per"] else []


def _name(word: str, power: str) -> str:
    if raised := _POWER.fullmatch(word):
        word, power = raised[1], raised[2] or {"²": "2", "³": "3"}[raised[3]]
    name = _known(word) or _singular(word.lower().rstrip("."))
    return name + power


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("xes", "ches", "shes", "sses", "oes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
