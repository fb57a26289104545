"""The fitted weights of the evidence model and the losses that it is certified for.

Made by `python -m ragthrift_bench.fit` from the tuning rows of
embedded, rag_hotpotqa, rag_hotpotqa:untitled, rag_nq20_rebuilt, rag_squad2.
"""

from ragthrift.compress.calibrate import Certificate
from ragthrift.compress.evidence import Logistic, Weights

WEIGHTS = Weights(
    passage=Logistic(
        weights=(
            1.65324,
            1.7962,
            -1.73021,
            0.75077,
            1.45041,
            0.31542,
            0.84311,
            4.45236,
        ),
        bias=-4.52869,
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
            1.21283,
            0.81684,
            -3.09457,
            0.60472,
            1.09243,
            0.1711,
            0.98844,
            4.18718,
            -0.34474,
            1.45803,
            3.74416,
            1.90422,
            4.87149,
        ),
        bias=-4.90424,
    ),
    unit_bridge=Logistic(
        weights=(
            1.42143,
            2.76884,
            -0.45418,
            2.24634,
            1.22312,
            -1.0568,
            0.76736,
            1.37211,
            0.57877,
            0.92574,
            0.67502,
        ),
        bias=-4.4955,
    ),
)

CERTIFICATES = (
    Certificate(
        max_loss=0.02,
        worth=0.004062822115899667,
        rows=918,
        lost=11,
        bound=0.019756023850146576,
        confidence=0.95,
        models="lexical",
    ),
    Certificate(
        max_loss=0.05,
        worth=0.011519068359528003,
        rows=918,
        lost=34,
        bound=0.04900495834874584,
        confidence=0.95,
        models="lexical",
    ),
    Certificate(
        max_loss=0.1,
        worth=0.025193376291603307,
        rows=918,
        lost=76,
        bound=0.0993104812672099,
        confidence=0.95,
        models="lexical",
    ),
)
