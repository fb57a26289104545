"""What happens when a package is imported: as little as possible."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

WATCH = """
import json, sys
events = []
def hook(event, args):
    if event == "open":
        events.append([event, str(args[0])])
    elif event.startswith(("socket.", "subprocess.", "urllib.", "os.system", "os.exec", "sqlite3.", "ctypes.dlopen")):
        events.append([event, repr(args)])
sys.addaudithook(hook)
{statement}
print(json.dumps({{"events": events, "modules": sorted(sys.modules)}}))
"""
CORE_ONLY = {
    "httpx",
    "httpx2",
    "huggingface_hub",
    "langchain_core",
    "llama_index",
    "numpy",
    "onnxruntime",
    "openai",
    "pydantic",
    "rich",
    "sentence_transformers",
    "starlette",
    "tiktoken",
    "tokenizers",
    "torch",
    "transformers",
}
MODELS = {"huggingface_hub", "onnxruntime", "sentence_transformers", "tokenizers", "torch", "transformers"}


def _loaded(statement):
    """What the statement does in a new interpreter: the events it raises and the modules that are there after it."""
    run = subprocess.run(
        [sys.executable, "-c", WATCH.format(statement=statement)], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def _tops(loaded):
    return {name.split(".")[0] for name in loaded["modules"]}


@pytest.mark.parametrize(
    "statement",
    [
        "import ragthrift",
        "import ragthrift.compress, ragthrift.rerank",
        "from ragthrift import *",
        "import ragthrift.models, ragthrift.text, ragthrift.events, ragthrift.plan, ragthrift.testing",
        "from ragthrift.models import CohereScorer, OnnxEmbedder, OnnxScorer; OnnxEmbedder(), OnnxScorer()",
    ],
)
def test_the_core_loads_nothing_heavy_and_touches_nothing(statement, repository):
    loaded = _loaded(statement)
    assert _tops(loaded) & CORE_ONLY == set()
    interpreter = [Path(place).resolve() for place in (sys.prefix, sys.base_prefix)]
    ours = [repository / "packages" / "core" / "src"]
    outside = [
        (event, what)
        for event, what in loaded["events"]
        if event != "open" or not any(Path(what).resolve().is_relative_to(place) for place in (*interpreter, *ours))
    ]
    assert outside == []


def test_the_top_level_alone_loads_no_engine():
    assert not {"ragthrift.compress", "ragthrift.rerank", "ragthrift.models", "asyncio"} & set(
        _loaded("import ragthrift")["modules"]
    )


def test_the_langchain_adapter_needs_langchain_core_alone():
    tops = _tops(_loaded("import langchain_ragthrift"))
    assert "langchain_core" in tops
    assert tops & (MODELS | {"langchain", "langchain_classic", "langchain_community", "langgraph"}) == set()


def test_the_llamaindex_adapter_loads_no_model_library():
    tops = _tops(_loaded("import llama_index_ragthrift"))
    assert tops & {"onnxruntime", "sentence_transformers", "torch", "langchain_core"} == set()


def test_the_worker_loads_no_model_library():
    assert _tops(_loaded("import ragthrift_worker")) & (MODELS | {"langchain_core", "llama_index"}) == set()
