from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

MODELS = Path(os.environ.get("RAGTHRIFT_MODELS") or Path(__file__).parents[2] / ".models")

ROWS = [
    {
        "id": "founder",
        "question": "Who founded the Blue Mill?",
        "answers": ["Ada Nore"],
        "passages": [
            {
                "id": "mill",
                "title": "Blue Mill",
                "text": "The Blue Mill stands in Tarn. It was founded by Ada Nore in 1871. Its wheel is of oak.",
                "gold": True,
            },
            {"id": "oak", "title": "Oak", "text": "Oak is a hard wood. Ships were once built of it."},
            {"id": "tarn", "title": "Tarn", "text": "Tarn is a village. It has two bridges. The market is on Friday."},
        ],
        "evidence": [{"passage": "mill", "text": "It was founded by Ada Nore in 1871."}],
    },
    {
        "id": "market",
        "question": "On which day is the market in the village of the Blue Mill?",
        "answers": ["Friday"],
        "passages": [
            {
                "id": "mill",
                "title": "Blue Mill",
                "text": "The Blue Mill stands in Tarn. It was founded by Ada Nore.",
                "sentences": ["The Blue Mill stands in Tarn.", " It was founded by Ada Nore."],
            },
            {
                "id": "tarn",
                "title": "Tarn",
                "text": "Tarn is a village. The market is on Friday.",
                "sentences": ["Tarn is a village.", " The market is on Friday."],
            },
            {"id": "oak", "title": "Oak", "text": "Oak is a hard wood.", "sentences": ["Oak is a hard wood."]},
        ],
        "supporting_facts": [["mill", 0], ["tarn", 1]],
    },
    {
        "id": "moon",
        "question": "Who owns the moon?",
        "answers": [],
        "qtype": "unanswerable",
        "passages": [{"id": "oak", "title": "Oak <b>&", "text": "Oak is a hard wood. Ships were once built of it."}],
    },
]


@pytest.fixture(autouse=True, scope="session")
def _models() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGTHRIFT_MODELS", str(MODELS))
        yield


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    file = tmp_path / "village.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return file
