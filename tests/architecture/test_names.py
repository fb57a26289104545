"""Public names: listed, importable, documented."""

import ast
import importlib
import inspect

import pytest

OURS = {"ragthrift", "ragthrift_worker", "langchain_ragthrift", "llama_index_ragthrift", "ragthrift_bench"}


def _offered(tree, package):
    """The public names that a package's `__init__` binds from our own modules, those for type checkers included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package.split(".")[0]:
            yield from (alias.asname or alias.name for alias in node.names)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _packages(sources):
    return [source for source in sources if source.path.name == "__init__.py"]


def _listed(sources):
    """Every module that has an `__all__`, imported."""
    for source in sources:
        if any("__all__" in ast.unparse(node) for node in source.tree.body if isinstance(node, ast.Assign)):
            yield importlib.import_module(source.name)


def _order(name):
    return (not name.isupper(), not name[0].isupper(), name)


def test_all_is_exactly_what_a_package_offers(sources):
    packages = _packages(sources)
    assert {source.name for source in packages} >= OURS
    for source in packages:
        names = {name for name in _offered(source.tree, source.name) if not name.startswith("_")}
        listed = getattr(importlib.import_module(source.name), "__all__", None)
        if names and (listed is not None or not source.name.startswith("ragthrift_bench.")):  # its rooms are its own
            assert sorted(listed or []) == sorted(names), source.name


def test_all_is_sorted_and_importable(sources):
    for module in _listed(sources):
        names = list(module.__all__)
        assert names == sorted(set(names), key=_order), module.__name__
        for name in names:
            assert hasattr(module, name), f"{module.__name__}.{name}"


def test_every_public_name_says_what_it_is(sources):
    silent = []
    for module in _listed(sources):
        for name in module.__all__:
            value = getattr(module, name)
            if not (inspect.isclass(value) or inspect.isroutine(value)):
                continue
            text = vars(value).get("__doc__") if inspect.isclass(value) else inspect.getdoc(value)
            if not text or text.startswith(f"{name}("):  # what a dataclass writes by itself says nothing
                silent.append(f"{module.__name__}.{name}")
    assert silent == []


@pytest.mark.parametrize("name", ["Compresser", "_HOME_", "numpy"])
def test_an_unknown_name_is_an_attribute_error(name):
    import ragthrift

    with pytest.raises(AttributeError, match=f"module 'ragthrift' has no attribute '{name}'"):
        getattr(ragthrift, name)
    assert name not in dir(ragthrift)
