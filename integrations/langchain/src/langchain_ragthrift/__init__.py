"""ragthrift for LangChain and LangGraph.

The middleware for agents is in `langchain_ragthrift.middleware`, which alone needs the package `langchain`; the
replacements for LangChain's own parts are in `langchain_ragthrift.dropin`.
"""

from langchain_ragthrift._chain import Chain
from langchain_ragthrift.compressor import LeanCompressor
from langchain_ragthrift.convert import Convert
from langchain_ragthrift.documents import LeanDocuments, LeanInput
from langchain_ragthrift.embeddings import FromCrossEncoder, FromLangChain, RagthriftCrossEncoder, RagthriftEmbeddings
from langchain_ragthrift.retriever import LeanRetriever

__all__ = [
    "Chain",
    "Convert",
    "FromCrossEncoder",
    "FromLangChain",
    "LeanCompressor",
    "LeanDocuments",
    "LeanInput",
    "LeanRetriever",
    "RagthriftCrossEncoder",
    "RagthriftEmbeddings",
]
