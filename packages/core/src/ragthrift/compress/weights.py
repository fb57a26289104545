"""The fitted weights of the evidence model and the losses that it is certified for.

Made by `python -m ragthrift_bench.fit` from the tuning rows of embedded, rag_hotpotqa, rag_hotpotqa:untitled, rag_nq20_rebuilt, rag_squad2.
"""

from ragthrift.compress.calibrate import Certificate
from ragthrift.compress.evidence import Logistic, Weights

WEIGHTS = Weights(
    passage=Logistic(
        weights=(1.69483, 1.82178, -1.71503, 0.68424, 1.44149, 0.52357, 0.70945, 4.39684),
        bias=-4.54061,
    ),
    unit=Logistic(
        weights=(0.42359, 2.91196, 1.68236, 0.93607, 1.36416, -0.93915, 0.93815),
        bias=-4.26254,
    ),
    passage_bridge=Logistic(
        weights=(
            1.16572,
            0.83653,
            -3.06824,
            0.5527,
            1.04986,
            0.44131,
            0.83722,
            3.96159,
            -0.1305,
            1.33502,
            3.62037,
            2.11121,
            4.96983,
        ),
        bias=-4.92543,
    ),
    unit_bridge=Logistic(
        weights=(0.67376, 2.61624, 1.76873, 0.93198, 1.10754, -0.95875, 0.44184, 1.55093, 0.58656, 0.83193, 0.72873),
        bias=-4.25326,
    ),
)

CERTIFICATES = (
    Certificate(
        max_loss=0.02,
        worth=0.003665447718984962,
        rows=918,
        lost=11,
        bound=0.019756023850146576,
        confidence=0.95,
        models="lexical",
    ),
    Certificate(
        max_loss=0.05,
        worth=0.011496506342902309,
        rows=918,
        lost=34,
        bound=0.04900495834874584,
        confidence=0.95,
        models="lexical",
    ),
    Certificate(
        max_loss=0.1,
        worth=0.024932411025441248,
        rows=918,
        lost=76,
        bound=0.0993104812672099,
        confidence=0.95,
        models="lexical",
    ),
)
