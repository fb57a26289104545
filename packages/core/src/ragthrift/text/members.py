"""JSON into units: a small value is one unit, a large one falls into its elements or members."""

from __future__ import annotations

import json
import re

from ragthrift.text.unit import Sheet

# Numbers stay text: turning digits into an int takes quadratic time, and Python refuses long ones.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[][{},]', re.DOTALL)


def value_end(text: str, start: int) -> tuple[int, bool]:
    """Where the JSON array or object at `start` ends, and True; or how far it could be read, and False."""
    try:
        _, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        return max(error.pos, start + 1), False
    except RecursionError:
        return len(text), False
    return end, True


def add_value(sheet: Sheet, start: int, end: int) -> None:
    """Write down the array or object `text[start:end]`, cut where it is longer than `max_chars`.

    Of a divided array or object, the opening bracket with its key, each element or member with its comma, and the
    closing bracket are units; an element or member needs the keys above it.
    """
    if end - start <= sheet.max_chars:
        sheet.add("json", start, end)
        return
    at, needs = start, ()
    above: list[tuple[int, ...]] = []
    tokens = _Tokens(sheet.text, start, end)
    index = 0
    while index < len(tokens.at):
        position, mark = tokens.at[index], sheet.text[tokens.at[index]]
        if mark in "[{":
            close = tokens.partner[index]
            if tokens.at[close] + 1 - at <= sheet.max_chars or close == index + 1:
                index = close + 1  # the member stays whole; its comma or the bracket around it comes next
                continue
            opener = sheet.add("json", at, position + 1, needs)
            above.append(needs)
            # A bracket alone says nothing that its elements would need.
            needs = (*needs, opener) if sheet.units[opener].end - sheet.units[opener].start > 1 else needs
            at = position + 1
        elif mark == ",":
            sheet.add("json", at, position + 1, needs)
            at = position + 1
        else:
            sheet.add("json", at, position, needs)
            needs = above.pop()
            after = tokens.at[index + 1] if index + 1 < len(tokens.at) else -1
            comma = after >= 0 and sheet.text[after] == ","
            at = after + 1 if comma else position + 1
            sheet.add("json", position, at, needs)
            index += comma
        index += 1
    sheet.add("json", at, end, needs)


class _Tokens:
    """Where the brackets and commas of a valid JSON text stand, and which brackets belong together."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self.at = [found.start() for found in _TOKEN.finditer(text, start, end) if text[found.start()] != '"']
        self.partner: dict[int, int] = {}
        open_: list[int] = []
        for index, position in enumerate(self.at):
            if text[position] in "[{":
                open_.append(index)
            elif text[position] in "]}":
                self.partner[open_.pop()] = index
