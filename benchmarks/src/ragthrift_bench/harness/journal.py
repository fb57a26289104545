"""A journal of finished work: one JSON line a piece, so that a run that was cut off can go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

Entry = dict[str, object]


class Journal:
    """Remembers finished pieces of work by key, in a file that only grows.

    Every piece carries the `stamp` of the settings it was made under; pieces of other settings are not used. A last
    line that was cut off in the middle is ignored.
    """

    def __init__(self, file: Path, stamp: str, *, resume: bool = False) -> None:
        self.file = file
        self.stamp = stamp
        self._done: dict[str, object] = {}
        if resume and file.is_file():
            self._done = {str(entry["key"]): entry["value"] for entry in self._read()}
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("", encoding="utf-8")

    def __contains__(self, key: str) -> bool:
        return key in self._done

    def __len__(self) -> int:
        return len(self._done)

    def get(self, key: str) -> object:
        """What was done under `key`, None when it is still to do."""
        return self._done.get(key)

    def add(self, key: str, value: object) -> None:
        """Write a finished piece; it is on disk when this returns."""
        line = json.dumps({"stamp": self.stamp, "key": key, "value": value}, ensure_ascii=False)
        with self.file.open("a", encoding="utf-8") as out:
            out.write(line + "\n")
        self._done[key] = value

    def _read(self) -> Iterator[Entry]:
        text = self.file.read_text(encoding="utf-8")
        if text and not text.endswith("\n"):  # what follows must not be glued to the broken line
            with self.file.open("a", encoding="utf-8") as out:
                out.write("\n")
        for line in text.split("\n"):
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(entry, dict):
                fields = cast("Entry", entry)
                if fields.get("stamp") == self.stamp and {"key", "value"} <= fields.keys():
                    yield fields
