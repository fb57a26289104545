"""What the pages say: their code runs, their links lead somewhere, their numbers are the measured ones."""

import ast
import asyncio
import inspect
import json
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from ragthrift_bench.readme import BEGIN, filled

REPOSITORY = Path(__file__).parents[2]
CODE_PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
PAGES = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!--\s*not run:\s*\S.*?-->\s*\Z", re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def _name(page):
    return page.relative_to(REPOSITORY).as_posix()


def _blocks(page):
    """Each Python block as (code padded to its line in the page, whether it is to be run)."""
    text = page.read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        yield "\n" * text.count("\n", 0, block.start(1)) + block[1], not NOT_RUN.search(text[: block.start()])


def _run(code, page, namespace):
    compiled = compile(code, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if not compiled.co_flags & inspect.CO_COROUTINE:
        exec(compiled, namespace)
        return
    asyncio.run(eval(compiled, namespace))


@pytest.mark.parametrize("page", CODE_PAGES, ids=_name)
def test_the_python_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    """Blocks of one page share their names, in order, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType(f"page_{page.stem}")  # classes look up the module that they are defined in
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for code, run in _blocks(page):
        if run:
            _run(code, page, module.__dict__)
        else:
            compile(code, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def _anchors(page):
    """The anchors that headings get: lower case, punctuation gone, spaces to hyphens."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+\s+(.+?)\s*#*$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_relative_links_lead_somewhere(page):
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and found.suffix == ".md" and anchor not in _anchors(found)):
            broken.append(target)
    assert broken == []


def test_the_numbers_of_the_readme_are_the_committed_ones():
    """Compared with the results in git, so that a run of one's own does not make the page wrong."""
    page = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    show = ["git", "show", ":benchmarks/results/context.json"]
    found = subprocess.run(show, cwd=REPOSITORY, capture_output=True, text=True)
    assert (BEGIN in page) == (found.returncode == 0), "a table and the results behind it are committed together"
    if BEGIN in page:
        assert page == filled(page, json.loads(found.stdout)), "run: python -m ragthrift_bench readme"
