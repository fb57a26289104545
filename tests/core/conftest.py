import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def models_folder(monkeypatch):
    """The real models: RAGTHRIFT_MODELS, else `.models` in the repository."""
    folder = os.environ.get("RAGTHRIFT_MODELS", str(REPOSITORY / ".models"))
    monkeypatch.setenv("RAGTHRIFT_MODELS", folder)
    return folder
