"""The evidence unit, and the sheet on which the readers of a text write units down in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["sentence", "heading", "item", "row", "header", "code", "json"]


@dataclass(frozen=True, slots=True)
class Unit:
    """The smallest piece of a text that is kept or dropped as a whole.

    `text[start:end]` has no whitespace around it. `needs` holds the units without which this one makes no sense (the
    header of a row, the line that introduces an item, the key above a JSON member), and what those need in turn.
    `heading` is the nearest heading above, -1 when there is none; for a heading it is the heading of the section that
    it belongs to. `paragraph` numbers the blocks of the text: paragraphs, lists, tables, code blocks, JSON documents.
    """

    start: int
    end: int
    kind: Kind
    needs: tuple[int, ...] = ()
    heading: int = -1
    paragraph: int = 0


@dataclass(slots=True)
class Sheet:
    """The units found so far in `text`, whose prose is in `language`; none should be longer than `max_chars`."""

    text: str
    language: str
    max_chars: int
    units: list[Unit] = field(default_factory=list[Unit])
    paragraph: int = -1
    begins: bool = True
    """The next unit is the first of its paragraph."""
    sections: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """(level, unit) of the headings that are open, outermost first."""

    def block(self) -> None:
        """Begin a paragraph with the next unit."""
        self.begins = True

    def add(self, kind: Kind, start: int, end: int, needs: tuple[int, ...] = ()) -> int:
        """The index of the new unit `text[start:end]`, less the whitespace around it; the last index if it is blank."""
        piece = self.text[start:end]
        bare = piece.lstrip()
        if bare:
            start = end - len(bare)
            end = start + len(bare.rstrip())
            self.paragraph += self.begins
            self.begins = False
            heading = self.sections[-1][1] if self.sections else -1
            self.units.append(Unit(start, end, kind, needs, heading, self.paragraph))
        return len(self.units) - 1

    def add_heading(self, level: int, start: int, end: int) -> None:
        """Write down a heading; it closes the sections of the same or a deeper level."""
        while self.sections and self.sections[-1][0] >= level:
            self.sections.pop()
        self.block()
        self.sections.append((level, self.add("heading", start, end)))

    def of(self, index: int) -> str:
        """The text of one unit."""
        return self.text[self.units[index].start : self.units[index].end]
