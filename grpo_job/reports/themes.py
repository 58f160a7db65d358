"""Colours of pages and plots, light and dark, with the same names in CSS and matplotlib."""

SERIES = ("c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8")

# Values in LIGHT are unique: plots are drawn with them, and each is then replaced by its name.
LIGHT = {
    "paper": "#ffffff",
    "page": "#f5f6f8",
    "ink": "#18202b",
    "muted": "#5b6675",
    "grid": "#e1e5ea",
    "before": "#6c7786",
    "warm": "#b06a12",
    "after": "#1a62c5",
    "good": "#17794a",
    "bad": "#b3261e",
    "warn": "#8a5a00",
    "c1": "#1a62c6",
    "c2": "#c2480f",
    "c3": "#0d7a6f",
    "c4": "#8a3ab9",
    "c5": "#a87400",
    "c6": "#b8246f",
    "c7": "#4c7a15",
    "c8": "#566273",
}
DARK = {
    "paper": "#171d26",
    "page": "#0e1218",
    "ink": "#e8ecf2",
    "muted": "#9aa6b5",
    "grid": "#2b3440",
    "before": "#8f9bab",
    "warm": "#d9964a",
    "after": "#6aaeff",
    "good": "#57c98c",
    "bad": "#ff8a80",
    "warn": "#f0b849",
    "c1": "#6aaeff",
    "c2": "#ff9a5c",
    "c3": "#3fcdbb",
    "c4": "#cf96f5",
    "c5": "#f0c14b",
    "c6": "#ff86bd",
    "c7": "#a5d66a",
    "c8": "#a8b4c4",
}
