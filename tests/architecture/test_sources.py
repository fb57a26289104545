"""What must not stand in a source file."""

import ast
import re

FRAMEWORKS = {"langchain", "langchain_classic", "langchain_community", "langchain_core", "langgraph", "llama_index"}
HEAVY = {
    "anthropic",
    "httpx",
    "httpx2",
    "huggingface_hub",
    "numpy",
    "onnxruntime",
    "openai",
    "pydantic",
    "ray",
    "rich",
    "sentence_transformers",
    "tiktoken",
    "tokenizers",
    "torch",
    "transformers",
}
TALKERS = ("__main__", "cli", "console")
"""Modules that speak to a person at a terminal."""


def _calls(source, *names):
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield f"{source.path}:{node.lineno}: {node.func.id}"


def test_the_core_loads_no_heavy_package_before_it_is_needed(sources):
    core = [source for source in sources if source.name.split(".")[0] == "ragthrift"]
    found = [
        (source.name, module)
        for source in core
        for module, _ in source.imports(top=True)
        if module.split(".")[0] in HEAVY | FRAMEWORKS
    ]
    assert core
    assert found == []


def test_only_the_middleware_imports_langchain_itself(sources):
    adapter = [source for source in sources if source.name.split(".")[0] == "langchain_ragthrift"]
    found = [
        (source.name, module)
        for source in adapter
        if ".middleware" not in source.name
        for module, _ in source.imports()
        if module.split(".")[0] in {"langchain", "langgraph", "langchain_classic", "langchain_community"}
    ]
    assert adapter
    assert found == []


def test_adapters_use_public_names_of_the_core(sources):
    adapters = [s for s in sources if s.name.split(".")[0] in {"langchain_ragthrift", "llama_index_ragthrift"}]
    found = [
        (source.name, module, name)
        for source in adapters
        for module, name in source.imports()
        if module.split(".")[0] == "ragthrift" and any(part.startswith("_") for part in (*module.split("."), name))
    ]
    assert adapters
    assert found == []


def test_only_the_command_line_prints(sources):
    silent = [source for source in sources if source.name.rsplit(".", 1)[-1] not in TALKERS]
    assert [call for source in silent for call in _calls(source, "print")] == []


def test_no_code_comes_from_data(sources):
    assert [call for source in sources for call in _calls(source, "eval", "exec")] == []
    modules = {(source.name, module) for source in sources for module, _ in source.imports()}
    unsafe = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
    assert [pair for pair in modules if pair[1].split(".")[0] in unsafe] == []
    switched_on = [
        f"{source.path}:{node.value.lineno}"
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.keyword) and node.arg in {"trust_remote_code", "allow_pickle"}
        if not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]
    assert switched_on == []


def test_nothing_is_left_to_do(sources):
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    assert [source.path for source in sources if marks.search(source.text)] == []


def test_no_tracked_file_names_a_place_of_one_machine(tracked, repository):
    """Absolute paths of a developer's machine and addresses of package registries help nobody else."""
    folders = "|".join(("work", "root", "tmp", "home"))
    hosts = "py-pi|files.python-hosted|test.py-pi|registry.npm-js|registry.yarn-pkg".replace("-", "")
    words = re.compile(rf"(?<![\w.~}}\])/])/(?:{folders})/[\w.]|(?:{hosts})\.(?:org|com)")
    found = []
    for path in tracked:
        if path.suffix in {".gz", ".png", ".gguf", ".onnx"}:
            continue
        for number, line in enumerate((repository / path).read_text(encoding="utf-8").splitlines(), 1):
            if match := words.search(line):
                found.append(f"{path}:{number}: {match[0]}")
    assert found == []
