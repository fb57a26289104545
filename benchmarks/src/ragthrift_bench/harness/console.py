"""The terminal: a table of results, and a progress bar with the time left where a person watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

Tick = Callable[[int], None]
Step = Callable[[str, int], Tick]


@contextmanager
def progress(*, quiet: bool) -> Generator[Step]:
    """A way to announce a step and its size; it shows nothing when `quiet` or when stderr is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda name, total: lambda done: None
        return
    columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:

        def step(name: str, total: int) -> Tick:
            for task in bar.task_ids:
                bar.remove_task(task)
            task = bar.add_task(name, total=total)
            return lambda done: bar.advance(task, done)

        yield step


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, strong: Sequence[bool] = ()) -> None:
    """Print a table to stdout."""
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for at, name in enumerate(head):
        table.add_column(name, justify="left" if at == 0 else "right", no_wrap=at == 0, overflow="fold")
    for at, row in enumerate(rows):
        table.add_row(*row, style="bold" if at < len(strong) and strong[at] else "")
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def say(text: str) -> None:
    """Print a line to stdout."""
    Console(width=None if sys.stdout.isatty() else 160, highlight=False).print(text, markup=False)


def warn(text: str) -> None:
    """Print a line to stderr."""
    Console(stderr=True, highlight=False).print(text, markup=False)
