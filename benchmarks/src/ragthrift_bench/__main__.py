"""`python -m ragthrift_bench SUITE`: run one suite."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import cast

from ragthrift.errors import ThriftError

SUITES = {"context": "ragthrift_bench.context.cli", "readme": "ragthrift_bench.readme"}
"""Suite -> the module whose `main(arguments)` runs it; imported only when it is asked for. `readme` writes the table of
measured numbers into a page."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 when the suite ran, 1 when it could not, 2 when it was asked for wrongly."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] not in SUITES:
        asked_for_help = bool(given) and given[0] in ("-h", "--help")
        out = sys.stdout if asked_for_help else sys.stderr
        out.write(f"usage: python -m ragthrift_bench SUITE [options]\nsuites: {', '.join(SUITES)}\n")
        return 0 if asked_for_help else 2
    suite = importlib.import_module(SUITES[given[0]])
    run = cast("Callable[[Sequence[str]], int]", suite.main)
    try:
        return run(given[1:])
    except ThriftError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped; what was finished is in the journal, --resume goes on from there\n")
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
