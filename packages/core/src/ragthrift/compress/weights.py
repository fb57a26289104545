"""The fitted weights of the evidence model and the losses that it is certified for.

Made by `python -m ragthrift_bench.fit` from the tuning rows of
embedded, rag_hotpotqa, rag_hotpotqa:untitled, rag_nq20_rebuilt, rag_squad2.
"""

from ragthrift.compress.calibrate import Certificate
from ragthrift.compress.evidence import Logistic, Weights

WEIGHTS = Weights(
    passage=Logistic(
        weights=(
            1.63606,
            1.83521,
            -1.69473,
            0.73298,
            1.44784,
            0.52081,
            0.70686,
            4.35606,
        ),
        bias=-4.54806,
    ),
    unit=Logistic(
        weights=(
            1.17852,
            3.05996,
            -0.50567,
            2.18772,
            1.47489,
            -1.04467,
            1.23563,
        ),
        bias=-4.51333,
    ),
    passage_bridge=Logistic(
        weights=(
            1.09028,
            0.81892,
            -2.97879,
            0.57329,
            1.03535,
            0.42674,
            0.84364,
            3.93388,
            -0.1699,
            1.41947,
            3.63881,
            2.08308,
            4.96139,
        ),
        bias=-4.93363,
    ),
    unit_bridge=Logistic(
        weights=(
            1.42961,
            2.75469,
            -0.44785,
            2.24466,
            1.21532,
            -1.05794,
            0.75524,
            1.41259,
            0.57822,
            0.85713,
            0.70382,
        ),
        bias=-4.49442,
    ),
)

CERTIFICATES = (
    Certificate(
        max_loss=0.02,
        worth=0.003944056203684311,
        rows=918,
        lost=11,
        bound=0.019756023850146576,
        confidence=0.95,
        models="lexical",
    ),
    Certificate(
        max_loss=0.05,
        worth=0.011388973517719269,
        rows=918,
        lost=34,
        bound=0.04900495834874584,
        confidence=0.95,
        models="lexical",
    ),
    Certificate(
        max_loss=0.1,
        worth=0.0249763762923333,
        rows=918,
        lost=76,
        bound=0.0993104812672099,
        confidence=0.95,
        models="lexical",
    ),
)
