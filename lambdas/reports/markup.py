"""HTML and SVG as trees, so that nothing from outside can become markup. All pure."""

import re
from xml.etree.ElementTree import Element, tostring

from lambdas.reports.story import Tone

Child = Element | str | None

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Control characters and halves of surrogate pairs: HTML cannot hold them, and UTF-8 not all of them."""

SIGNS = {Tone.GOOD: "M3.5 8.5l3 3 6-7", Tone.WARNING: "M8 3v6.5M8 12v.6", Tone.BAD: "M4 4l8 8M12 4l-8 8"}
"""What tells tones apart without color, drawn in 16 by 16: a tick, an exclamation mark, a cross."""

_WORDS = {Tone.GOOD: "Good: ", Tone.WARNING: "Warning: ", Tone.BAD: "Bad: "}


def element(tag: str, *children: Child, **attributes: str | float | None) -> Element:
    """
    Make an element. None among children or attributes stands for nothing.

    Attributes are named as in Python: `class_` is class, `stroke_width` is stroke-width.
    """
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), _text(value))
    return extend(made, *children)


def extend(parent: Element, *children: Child) -> Element:
    """Put children behind those that an element has, and return it."""
    for child in children:
        if isinstance(child, Element):
            parent.append(child)
        elif child is not None and len(parent):
            parent[-1].tail = (parent[-1].tail or "") + _text(child)
        elif child is not None:
            parent.text = (parent.text or "") + _text(child)
    return parent


def document(root: Element) -> str:
    """Write an HTML document."""
    return "<!DOCTYPE html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def number(value: float) -> str:
    """Write a coordinate: a tenth of a pixel is enough, and short."""
    return f"{value:.1f}".removesuffix(".0")


def sign(tone: Tone) -> Element | None:
    """Draw a tone's sign, with its word for those who do not see it. What is plain has none."""
    if tone not in SIGNS:
        return None
    drawing = element("svg", element("use", href=f"#sign-{tone}"), class_=f"sign {tone}", aria_hidden="true")
    return element("span", drawing, element("span", _WORDS[tone], class_="unseen"))


def sign_shapes() -> Element:
    """Define once what `sign` draws."""
    shapes = [
        element("symbol", element("path", d=path), id=f"sign-{tone}", viewBox="0 0 16 16")
        for tone, path in SIGNS.items()
    ]
    return element("svg", *shapes, class_="unseen", aria_hidden="true")


def _text(value: str | float) -> str:
    return _UNPRINTABLE.sub("\ufffd", value) if isinstance(value, str) else number(value)
