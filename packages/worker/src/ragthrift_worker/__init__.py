"""A rerank server that speaks the dialects of Cohere, Jina and TEI."""
