"""`python -m ragthrift.models list | fetch NAME… | check [NAME…]`: the local models of the catalogue."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ragthrift.errors import ThriftError
from ragthrift.models.catalogue import CATALOGUE, File, Model, folders, model, places, sound
from ragthrift.models.download import Progress, fetch


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 1 where a model is missing or broken."""
    options = _parser().parse_args(arguments)
    try:
        entries = [model(name) for name in options.names] or list(CATALOGUE.values())
        if options.command == "fetch":
            rows = _fetch(entries, options.folder)
        else:
            rows = [_state(entry, options.folder) for entry in entries]
    except ThriftError as error:
        return _fail(error, options.json)
    _show(rows, options.json)
    states = {row["state"] for row in rows}
    return int("wrong" in states or ("missing" in states and options.command == "check" and bool(options.names)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m ragthrift.models", description="The local models of the catalogue.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("list", "every model, its size, licence and whether it is here"),
        ("fetch", "bring models onto this machine, checked by hash"),
        ("check", "check the files that are here against their hashes"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--folder", help="default: RAGTHRIFT_MODELS, else ~/.cache/ragthrift/models")
        command.add_argument("--json", action="store_true", help="write JSON to standard output")
        if name == "list":
            command.set_defaults(names=[])
        else:
            command.add_argument("names", nargs="+" if name == "fetch" else "*", metavar="NAME")
    return parser


def _fetch(entries: Sequence[Model], folder: str | None) -> list[dict[str, object]]:
    with _bar() as progress:
        for entry in entries:
            fetch(entry, folder, progress)
    return [_state(entry, folder) for entry in entries]


def _state(entry: Model, folder: str | None) -> dict[str, object]:
    paths = {file.path: _best(entry, file, folder) for file in entry.files}
    states = [_judge(file, paths[file.path]) for file in entry.files]
    state = next((word for word in ("wrong", "missing") if word in states), "here")
    return {
        "name": entry.name,
        "kind": entry.kind,
        "licence": entry.licence,
        "origin": entry.origin,
        "bytes": entry.size,
        "state": state,
        "files": {relative: str(path) if path else None for relative, path in paths.items()},
    }


def _best(entry: Model, file: File, folder: str | None) -> Path | None:
    present = [path for path in places(entry, file, folder) if path.is_file()]
    return next((path for path in present if sound(path, file)), present[0] if present else None)


def _judge(file: File, path: Path | None) -> str:
    if path is None:
        return "missing"
    return "here" if sound(path, file) else "wrong"


def _show(rows: Sequence[dict[str, object]], as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"folder": str(folders()[0]), "models": rows}, indent=2) + "\n")
        return
    for row in rows:
        megabytes = int(str(row["bytes"])) / 1e6
        line = f"{row['name']:<36} {row['kind']:<9} {megabytes:8.1f} MB  {row['licence']:<11} {row['state']}"
        sys.stdout.write(line + "\n")


def _fail(error: ThriftError, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
    else:
        sys.stderr.write(f"{error}\n")
    return 1


@contextmanager
def _bar() -> Generator[Progress | None]:
    """A progress bar on a terminal: rich's where it is installed, else one line that is written over."""
    if not sys.stderr.isatty():
        yield None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
    except ImportError:
        yield _plain
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, TaskID] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done)

        yield show


def _plain(name: str, done: int, total: int) -> None:
    end = "\n" if done >= total else ""
    sys.stderr.write(f"\r{name} {done / 1e6:.1f} of {total / 1e6:.1f} MB{end}")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
