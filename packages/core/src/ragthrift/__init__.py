"""Makes RAG context lean: rerank, cut, compress under a hard token budget, with a receipt."""
