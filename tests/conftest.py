"""What every test can count on: the folder of real models, and no hub."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]

os.environ.setdefault("RAGTHRIFT_MODELS", str(REPOSITORY / ".models"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
