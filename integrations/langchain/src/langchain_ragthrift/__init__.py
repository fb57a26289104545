"""ragthrift for LangChain and LangGraph."""
