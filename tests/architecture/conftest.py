"""The source tree as the architecture tests see it."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PROJECTS = {
    "ragthrift": ".",
    "ragthrift-core": "packages/core",
    "ragthrift-worker": "packages/worker",
    "langchain-ragthrift": "integrations/langchain",
    "llama-index-ragthrift": "integrations/llamaindex",
    "ragthrift-bench": "benchmarks",
}


@dataclass(frozen=True)
class Source:
    """One module of ours: where it lies, its dotted name, and its parsed text."""

    path: Path
    name: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.path)

    def imports(self, *, top: bool = False) -> Iterator[tuple[str, str]]:
        """Each (module, name) that is imported; name is empty for `import module`. `top`: only when loaded."""
        for node in _run_at_import(self.tree.body) if top else ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.module or "", alias.name) for alias in node.names)


def _run_at_import(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """The statements that run when the module is loaded: not those in functions or under `if TYPE_CHECKING`."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _run_at_import(node.orelse)
            continue
        yield node
        for part in ("body", "orelse", "finalbody"):
            yield from _run_at_import(getattr(node, part, []))
        for handler in getattr(node, "handlers", []):
            yield from _run_at_import(handler.body)


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@lru_cache(maxsize=1)
def _sources() -> tuple[Source, ...]:
    found = []
    for folder in list(PROJECTS.values())[1:]:
        root = REPOSITORY / folder / "src"
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(Source(path, name, path.read_text(encoding="utf-8")))
    return tuple(found)


@pytest.fixture(scope="session")
def sources() -> tuple[Source, ...]:
    """Every module of the five packages."""
    return _sources()


@pytest.fixture(scope="session")
def tracked() -> tuple[Path, ...]:
    """Every file of the repository, by its path in it."""
    out = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    return tuple(Path(name) for name in out.split("\0") if name and (REPOSITORY / name).is_file())


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def projects() -> dict[str, Path]:
    """Each distribution and its folder."""
    return {name: REPOSITORY / folder for name, folder in PROJECTS.items()}
