"""Texts cut into evidence units with exact offsets, and the words that lexical scoring compares."""

from ragthrift.text.lexical import stem, words
from ragthrift.text.split import units
from ragthrift.text.unit import Kind, Unit

__all__ = ["Kind", "Unit", "stem", "units", "words"]
