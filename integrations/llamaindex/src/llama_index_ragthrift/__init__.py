"""ragthrift for LlamaIndex: node postprocessors that keep context lean, and embedding models both ways.

`LeanPostprocessor` runs any engine. `SentenceEmbeddingOptimizer` and `SentenceTransformerRerank` take the place of
LlamaIndex's classes of these names: only the import line changes.
"""

from llama_index_ragthrift.embeddings import FromLlamaIndex, RagthriftEmbedding
from llama_index_ragthrift.events import LeanEvent
from llama_index_ragthrift.lean import LeanPostprocessor
from llama_index_ragthrift.optimizer import SentenceEmbeddingOptimizer
from llama_index_ragthrift.rerank import SentenceTransformerRerank

__all__ = [
    "FromLlamaIndex",
    "LeanEvent",
    "LeanPostprocessor",
    "RagthriftEmbedding",
    "SentenceEmbeddingOptimizer",
    "SentenceTransformerRerank",
]
