"""Chains of a user, built from the frameworks' real classes."""

from __future__ import annotations

from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from llama_index.core.base.response.schema import Response
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.schema import NodeWithScore, TextNode

KNOWN = {"Who founded the Blue Mill?": "Ada Nore"}


def _answer(question: str) -> dict[str, Any]:
    return {
        "answer": KNOWN.get(question, "unanswerable"),
        "context": [Document("Ada Nore built it."), Document("Oak.")],
    }


runnable = RunnableLambda(_answer)
plain = RunnableLambda(lambda question: AIMessage("Friday"))


class Engine(CustomQueryEngine):
    def custom_query(self, query_str: str) -> Response:
        nodes = [NodeWithScore(node=TextNode(text="Ada Nore built it."), score=0.5)]
        return Response(KNOWN.get(query_str, "unanswerable"), source_nodes=nodes)


engine = Engine()
swap = {"before": plain, "after": runnable}


def build() -> RunnableLambda[str, dict[str, Any]]:
    return runnable


def _fail(question: str) -> str:
    raise RuntimeError("the vector store is down")


broken = RunnableLambda(_fail)
chat = GenericFakeChatModel(messages=(AIMessage("Ada Nore") for _ in range(1000)))
