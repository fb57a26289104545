"""The evaluation set that the project wrote itself: a fictional cooperative, its documents and questions on them."""

from pathlib import Path

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
QUESTIONS = HERE / "questions"
EMBEDDED = HERE / "embedded.jsonl.gz"
"""The built set, one question with its frozen pool a line; `README.md` beside it describes the fields."""
