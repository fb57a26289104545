import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_community.document_transformers.embeddings_redundant_filter import _DocumentWithState
from langchain_core.documents import Document
from langchain_core.prompts import PromptTemplate

from langchain_ragthrift import Convert, LeanCompressor
from ragthrift.compress import Compressor
from ragthrift.errors import ConfigurationError
from ragthrift.rerank import Reranker
from ragthrift.testing import FixedScorer
from ragthrift.tokens import Approximate, Tiktoken


def test_metadata_fill_the_passage():
    document = Document(
        "text", id="7", metadata={"title": "T", "source": "s", "parent_id": "p", "start_index": 3, "relevance_score": 1}
    )
    (passage,) = Convert().passages([document])
    assert (passage.text, passage.id, passage.title, passage.source) == ("text", "7", "T", "s")
    assert (passage.parent, passage.start, passage.score, passage.label, passage.index) == ("p", 3, 1.0, "", 0)


def test_other_keys_and_odd_values():
    document = Document("t", metadata={"name": 5, "title": "no", "start_index": "x", "relevance_score": float("nan")})
    (passage,) = Convert(title_key="name", source_key=None).passages([document])
    assert (passage.title, passage.source, passage.start, passage.score, passage.id) == ("5", "", None, None, "")


def test_what_a_prompt_writes_around_the_text_counts_towards_the_budget(documents, query):
    prompt = PromptTemplate.from_template("<source>{source}</source>\n{page_content}\n---")
    convert = Convert(document_prompt=prompt)
    kept = LeanCompressor(engine=Compressor(budget=60), convert=convert).compress_documents(documents, query)
    rendered = "\n\n".join(map(convert.render, kept))
    assert kept
    assert rendered.startswith("<source>")
    assert Approximate().count(rendered) <= 60


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from("the oak. mill! 1871 12% don't (open) Émile 語 🙂".split()), max_size=40), max_size=5
    ),
    st.integers(12, 80),
)
def test_tags_before_and_behind_never_break_an_exact_budget(texts, budget):
    convert = Convert(document_prompt=PromptTemplate.from_template("<doc title='{title}'>{page_content}</doc>"))
    documents = [Document(" ".join(text), metadata={"title": str(at)}) for at, text in enumerate(texts)]
    count = Tiktoken().count
    kept = LeanCompressor(engine=Compressor(budget=budget, counter=Tiktoken()), convert=convert).compress_documents(
        documents, "How old is the mill of oak?"
    )
    assert count("\n\n".join(map(convert.render, kept))) <= budget


def test_a_label_counts_too(documents, query):
    convert = Convert(label=lambda document: f"[{document.metadata['source']}] ")
    kept = LeanCompressor(engine=Compressor(budget=40), convert=convert).compress_documents(documents, query)
    rendered = "\n\n".join(map(convert.render, kept))
    assert rendered.startswith("[mill.txt] ")
    assert Approximate().count(rendered) <= 40


def test_label_and_prompt_together_are_refused():
    with pytest.raises(ConfigurationError, match="not both"):
        Convert(document_prompt=PromptTemplate.from_template("{page_content}"), label=lambda _: "")


def test_kept_documents_are_copies_with_ids_metadata_and_evidence(documents, query):
    before = copy.deepcopy(documents)
    kept = LeanCompressor(engine=Compressor(budget=40)).compress_documents(documents, query)
    assert documents == before
    by_id = {document.id: document for document in documents}
    assert {"mill", "nore"} <= {document.id for document in kept}
    for document in kept:
        given = by_id[document.id]
        assert document is not given
        assert document.metadata is not given.metadata
        assert document.metadata.items() >= given.metadata.items()
        evidence = document.metadata["ragthrift"]
        pieces = [given.page_content[start:end] for start, end in evidence["spans"]]
        assert document.page_content.split() == " ".join(pieces).split()
        assert evidence["engine"] == "Compressor"
        json.dumps(document.metadata)


def test_evidence_and_score_can_be_switched_off(documents, query):
    convert = Convert(evidence_key=None, score_key=None)
    kept = LeanCompressor(engine=Compressor(budget=40), convert=convert).compress_documents(documents, query)
    assert all(document.metadata.keys() <= {"title", "source", "start_index"} for document in kept)


def test_a_score_of_the_user_stays_and_one_of_ours_is_renewed():
    documents = [Document("alpha", id="a", metadata={"relevance_score": 0.3}), Document("beta", id="b")]
    first = LeanCompressor(engine=Reranker(FixedScorer([0.9, 0.5]))).compress_documents(documents, "q")
    assert [d.metadata["relevance_score"] for d in first] == [0.3, 0.5]
    assert [d.metadata["ragthrift"]["score"] for d in first] == [0.9, 0.5]
    second = LeanCompressor(engine=Reranker(FixedScorer([0.1, 0.2]))).compress_documents(first, "q")
    assert [(d.id, d.metadata["relevance_score"]) for d in second] == [("b", 0.2), ("a", 0.3)]
    assert second[0].metadata["ragthrift"]["engine"] == "Reranker+Reranker"


def test_spans_lead_to_the_first_text_through_two_parts(documents, query):
    once = LeanCompressor(engine=Compressor(budget=60)).compress_documents(documents, query)
    twice = LeanCompressor(engine=Compressor(budget=20)).compress_documents(once, query)
    first = {document.id: document.page_content for document in documents}
    assert twice
    for document in twice:
        pieces = [first[document.id][start:end] for start, end in document.metadata["ragthrift"]["spans"]]
        assert document.page_content.split() == " ".join(pieces).split()


def test_duplicate_and_missing_ids_stay_apart():
    documents = [Document("apples are red", id="x"), Document("pears are green", id="x"), Document("plums are blue")]
    kept = LeanCompressor(engine=Reranker(FixedScorer([0.1, 0.9, 0.5]))).compress_documents(documents, "q")
    assert [(d.page_content, d.id) for d in kept] == [
        ("pears are green", "x"),
        ("plums are blue", None),
        ("apples are red", "x"),
    ]


def test_content_that_is_none_is_empty_and_comes_back_as_it_was():
    broken = Document("x", id="none")
    broken.page_content = None
    documents = [broken, Document("beta", id="b")]
    kept = LeanCompressor(engine=Reranker(FixedScorer([0.1, 0.9]))).compress_documents(documents, "q")
    assert [(d.id, d.page_content) for d in kept] == [("b", "beta"), ("none", None)]
    assert LeanCompressor(engine=Compressor(budget=50)).compress_documents(documents, "beta")


def test_a_private_subclass_keeps_its_class_and_loses_a_vector_of_another_text(documents, query):
    stateful = [
        _DocumentWithState(
            page_content=d.page_content, id=d.id, metadata=d.metadata, state={"embedded_doc": [1.0], "x": 1}
        )
        for d in documents
    ]
    before = copy.deepcopy(stateful)
    kept = LeanCompressor(engine=Compressor(budget=35)).compress_documents(stateful, query)
    assert stateful == before
    assert all(type(document) is _DocumentWithState for document in kept)
    shortened = [d for d in kept if d.page_content not in {document.page_content for document in documents}]
    assert shortened
    assert all(document.state == {"x": 1} for document in shortened)
    whole = LeanCompressor(engine=Reranker(FixedScorer([0.1]))).compress_documents(stateful, query)
    assert all(document.state == {"embedded_doc": [1.0], "x": 1} for document in whole)
