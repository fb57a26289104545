"""ragthrift for LlamaIndex."""
