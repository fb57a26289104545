"""A self-contained HTML page: one file, no address in it, readable in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources


@dataclass(frozen=True, slots=True)
class Td:
    """A table cell: what it shows, what it is sorted by, and a class for its look."""

    text: str
    sort: float | str = ""
    style: str = ""
    title: str = ""

    def html(self) -> str:
        """The cell, everything escaped."""
        sort = f' data-sort="{escape(str(self.sort))}"' if self.sort != "" else ""
        style = f' class="{escape(self.style)}"' if self.style else ""
        title = f' title="{escape(self.title)}"' if self.title else ""
        return f"<td{sort}{style}{title}>{escape(self.text)}</td>"


def table(head: Sequence[str], rows: Sequence[Sequence[Td]], *, style: str = "") -> str:
    """A table that sorts by the column whose head is pressed; the first column is the name."""
    cells = "".join(f'<th scope="col"><button type="button">{escape(name)}</button></th>' for name in head)
    body = "".join("<tr>" + "".join(cell.html() for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="sortable {style}"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def page(title: str, body: str) -> str:
    """The whole document."""
    files = resources.files("ragthrift_bench.harness")
    css = (files / "page.css").read_text(encoding="utf-8")
    js = (files / "page.js").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{css}</style></head><body><main>{body}</main>"
        f"<script>{js}</script></body></html>\n"
    )
