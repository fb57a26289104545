"""The fitted weights of the evidence model and the losses that it is certified for.

Made by `python -m ragthrift_bench.fit` from the tuning rows of
embedded, rag_hotpotqa, rag_hotpotqa:untitled, rag_nq20_rebuilt, rag_squad2.
"""

from ragthrift.compress.calibrate import Certificate
from ragthrift.compress.evidence import Logistic, Weights

WEIGHTS = Weights(
    passage=Logistic(
        weights=(
            1.17151,
            2.26875,
            -1.28234,
            1.14544,
            1.69308,
            0.47383,
            0.52064,
            2.76159,
        ),
        bias=-4.69856,
    ),
    unit=Logistic(
        weights=(
            1.3308,
            2.90829,
            -0.4995,
            1.5135,
            1.4035,
            -1.1068,
            1.2868,
        ),
        bias=-4.36152,
    ),
    passage_bridge=Logistic(
        weights=(
            0.55698,
            1.75468,
            -2.29601,
            1.15208,
            1.57335,
            0.1557,
            0.87216,
            2.36306,
            -0.47111,
            0.90846,
            3.78222,
            2.36893,
            4.84395,
        ),
        bias=-5.25316,
    ),
    unit_bridge=Logistic(
        weights=(
            1.61614,
            2.64647,
            -0.50674,
            1.5979,
            1.10525,
            -1.05417,
            0.80568,
            1.46783,
            0.88355,
            1.13445,
            0.68665,
        ),
        bias=-4.37587,
    ),
)

CERTIFICATES = (
    Certificate(
        max_loss=0.02,
        worth=0.0006585344653622358,
        rows=918,
        lost=2,
        bound=0.006842134182691481,
        confidence=0.95,
        models="lexical",
    ),
    Certificate(
        max_loss=0.05,
        worth=0.003913208471578141,
        rows=918,
        lost=12,
        bound=0.021093391039944343,
        confidence=0.95,
        models="lexical",
    ),
    Certificate(
        max_loss=0.1,
        worth=0.008501209091798993,
        rows=918,
        lost=28,
        bound=0.041580538725621986,
        confidence=0.95,
        models="lexical",
    ),
)
