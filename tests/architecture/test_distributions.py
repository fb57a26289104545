"""The six distributions: one version, exact pins, extras that exist, wheels that hold what they should."""

import re
import tomllib
import zipfile
from email.parser import Parser

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

NAMES = (
    "ragthrift",
    "ragthrift-core",
    "ragthrift-worker",
    "langchain-ragthrift",
    "llama-index-ragthrift",
    "ragthrift-bench",
)


@pytest.fixture(scope="module")
def tables(projects):
    """The `[project]` table of each distribution."""
    return {
        name: tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for name, folder in projects.items()
    }


def _requirements(table):
    optional = table.get("optional-dependencies", {})
    return [
        Requirement(text) for text in (*table["dependencies"], *(one for extra in optional.values() for one in extra))
    ]


def test_all_share_one_version_and_one_python(tables):
    assert tuple(tables) == NAMES
    assert {name: table["name"] for name, table in tables.items()} == {name: name for name in NAMES}
    assert len({table["version"] for table in tables.values()}) == 1
    assert {table["requires-python"] for table in tables.values()} == {">=3.11"}
    assert {table["license"] for table in tables.values()} == {"Apache-2.0"}


def test_they_pin_each_other_exactly(tables):
    version = tables["ragthrift"]["version"]
    loose = [
        (name, str(requirement))
        for name, table in tables.items()
        for requirement in _requirements(table)
        if requirement.name in NAMES and str(requirement.specifier) != f"=={version}"
    ]
    assert loose == []
    needs = {name: {r.name for r in _requirements(table) if r.name in NAMES} for name, table in tables.items()}
    assert needs == {name: {"ragthrift-core"} for name in NAMES[1:]} | {
        "ragthrift": set(NAMES) - {"ragthrift"},
        "ragthrift-core": set(),
    }


def test_every_extra_that_is_asked_for_exists(tables):
    asked = [(r.name, extra) for table in tables.values() for r in _requirements(table) for extra in r.extras]
    ours = [(name, extra) for name, extra in asked if name in NAMES]
    assert ours
    assert [pair for pair in ours if pair[1] not in tables[pair[0]].get("optional-dependencies", {})] == []


def test_every_extra_that_an_error_names_exists(tables, sources):
    """A pip line in a message must work: `pip install "ragthrift[onnx]"`."""
    named = {
        (name, extra)
        for source in sources
        for name, extras in re.findall(r'"((?:[a-z]+-)*ragthrift(?:-[a-z]+)?)\[([a-z,-]+)\]"', source.text)
        for extra in extras.split(",")
    }
    assert named
    assert [pair for pair in named if pair[1] not in tables[pair[0]]["optional-dependencies"]] == []


def test_constraints_pin_exactly_and_name_no_address(repository):
    lines = (repository / "tests" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert lines == sorted(set(lines), key=lambda line: re.sub(r"[-_.]+", "-", line.split("==")[0]).lower())
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line)] == []


def _built(folder, into):
    (path,) = WheelBuilder(str(folder)).build(directory=str(into), versions=["standard"])
    with zipfile.ZipFile(path) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_wheel_holds_the_whole_package(name, projects, tracked, repository, tmp_path):
    folder = projects[name].relative_to(repository) / "src"
    mine = {path.relative_to(folder).as_posix() for path in tracked if path.is_relative_to(folder)}
    built = _built(projects[name], tmp_path)
    files = {file for file in built if ".dist-info/" not in file}
    package = name.replace("-", "_") if name != "ragthrift-core" else "ragthrift"
    assert built[f"{package}/py.typed"] == b""
    assert mine - files == set()
    assert {file.split("/")[0] for file in files} == {package}
    assert not [file for file in files if "__pycache__" in file or file.startswith("tests/")]


def test_the_benchmark_wheel_brings_its_data(projects, tmp_path):
    built = _built(projects["ragthrift-bench"], tmp_path)
    assert built["ragthrift_bench/data/embedded.jsonl.gz"][:2] == b"\x1f\x8b"


def test_the_root_wheel_is_metadata_alone(projects, tables, tmp_path):
    built = _built(projects["ragthrift"], tmp_path)
    assert [file for file in built if ".dist-info/" not in file] == []
    (metadata,) = [text.decode() for file, text in built.items() if file.endswith("/METADATA")]
    assert set(Parser().parsestr(metadata).get_all("Provides-Extra")) == set(
        tables["ragthrift"]["optional-dependencies"]
    )
