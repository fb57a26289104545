import os
import warnings
from pathlib import Path

import pytest
from langchain_core.documents import Document

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it says at import that it is being sunset
    import langchain_community  # noqa: F401

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def models_folder(monkeypatch):
    """The real models: RAGTHRIFT_MODELS, else `.models` in the repository. No tracing, no network."""
    folder = os.environ.get("RAGTHRIFT_MODELS", str(REPOSITORY / ".models"))
    monkeypatch.setenv("RAGTHRIFT_MODELS", folder)
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    return folder


@pytest.fixture
def documents():
    """A question's retrieved documents: the answer needs the first two, the rest talk about something else."""
    return [
        Document(
            "The Blue Mill stands in Tarn. It was founded by Ada Nore in 1871. Its wheel is made of oak. "
            "The roof was renewed twice. Visitors come in spring.",
            id="mill",
            metadata={"title": "Blue Mill", "source": "mill.txt", "start_index": 40},
        ),
        Document(
            "Ada Nore was born in the harbour town of Lisse. She studied hydraulics. She kept bees and wrote letters. "
            "Her brother sold timber.",
            id="nore",
            metadata={"title": "Ada Nore", "source": "nore.txt"},
        ),
        Document(
            "Oak is a hard wood. Ships were once built of it. It grows slowly. Its bark was used by tanners.",
            id="oak",
            metadata={"title": "Oak", "source": "oak.txt"},
        ),
        Document(
            "Tarn is a village. It has two bridges. The market is on Friday. A train stops there twice a day.",
            metadata={"title": "Tarn", "source": "tarn.txt"},
        ),
    ]


@pytest.fixture
def query():
    return "In which town was the founder of the Blue Mill born?"
