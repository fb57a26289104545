"""What a kept unit needs beside it to be understood: a table's header, the heading above, the sentence before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ragthrift.tokens import label

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from ragthrift.compress.pool import Pool
    from ragthrift.types import Passage

# A sentence that begins with one of these says something about what the sentence before it named.
_DANGLING = re.compile(
    r"(?:he|she|it|they|his|her|its|their|this|that|these|those|such|both|the (?:former|latter)"
    r"|er|sie|es|dieser?|diese[ms]|dies|sein|seine|ihre?"
    r"|il|elle|ils|elles|cela|cette|ces|ceci|son|sa|ses|leurs?"
    r"|él|ella|ellos|ellas|ello|este|esta|esto|estos|estas|su|sus|ele|ela|eles|elas|isto|isso|seu|sua"
    r"|egli|essa|esso|essi|questo|questa|questi|queste|suo|sua|hij|zij|het|deze|dit|zijn|haar"
    r"|он|она|оно|они|это|этот|эта|эти|его|её|их)\b"
    r"|(?:これ|それ|あれ|この|その|彼|彼女|它|他|她|这|那|这些|那些|其)",
    re.IGNORECASE,
)


def required(pool: Pool, passages: Sequence[Passage], kept: Set[int], c: int) -> set[int]:
    """The units that candidate `c` cannot stand without and that are not kept yet.

    A passage with a label names its subject there, so only one without a label has its dangling sentences repaired.
    """
    candidate = pool.candidates[c]
    first, unit = pool.of[candidate.passage][0], candidate.unit
    needs = _above(pool, first, c)
    passage = passages[candidate.passage]
    if c > first and not label(passage):
        before = pool.candidates[c - 1].unit
        if before.paragraph == unit.paragraph and _DANGLING.match(passage.text, unit.start):
            needs |= {c - 1, *_above(pool, first, c - 1)}
    return needs - kept


def _above(pool: Pool, first: int, c: int) -> set[int]:
    """What the layout puts above a unit: the nearest heading, its table's header, the line that introduces its list."""
    unit = pool.candidates[c].unit
    return {first + need for need in (*unit.needs, *((unit.heading,) if unit.heading >= 0 else ()))}
