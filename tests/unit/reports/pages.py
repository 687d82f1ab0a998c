"""Reads a page as a browser would, so that tests see what a reader sees."""

from collections.abc import Iterator
from html.parser import HTMLParser
from xml.etree.ElementTree import Element, SubElement

VOID = {"link", "meta"}
APART = {"details", "div", "dd", "dt", "li", "p", "summary", "td", "text", "th", "tr"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("page")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = SubElement(self.open[-1], tag, {name: value or "" for name, value in attrs})
        if tag not in VOID:
            self.open.append(made)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        parent = self.open[-1]
        if len(parent):
            parent[-1].tail = (parent[-1].tail or "") + data
        else:
            parent.text = (parent.text or "") + data


def read(page: str) -> Element:
    """Return a page as a tree. What is not closed, or closed twice, fails."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == [reader.root]
    return reader.root


def of_class(tree: Element, *names: str) -> list[Element]:
    """Return the elements that have all of some classes."""
    return [each for each in tree.iter() if set(names) <= set(each.get("class", "").split())]


def text(tree: Element) -> str:
    """Return all text below an element as one line. What a browser puts apart is apart."""
    return " ".join("".join(_pieces(tree)).split())


def _pieces(tree: Element) -> Iterator[str]:
    yield tree.text or ""
    for each in tree:
        yield from _pieces(each)
        yield (" " if each.tag in APART else "") + (each.tail or "")


def wide(tree: Element) -> Element:
    """Return the plot for wide screens."""
    (plot,) = of_class(tree, "plot", "wide")
    return plot
