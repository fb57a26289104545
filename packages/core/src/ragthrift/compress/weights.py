"""Fitted weights of the evidence model."""

from ragthrift.compress.evidence import Logistic, Weights

WEIGHTS = Weights(
    passage=Logistic(
        weights=(1.7083, 2.10793, -2.03172, 0.60981, 1.57537, 0.74188, 0.63712, 4.4949),
        bias=-4.55714,
    ),
    unit=Logistic(
        weights=(0.1537, 3.03434, 1.20455, 1.27961, 2.10332, -0.94393, 0.68756),
        bias=-4.33177,
    ),
    passage_bridge=Logistic(
        weights=(
            0.93109,
            0.58894,
            -3.24746,
            0.45098,
            0.88819,
            0.64379,
            0.79479,
            4.18326,
            -0.03372,
            2.03506,
            4.05397,
            2.12712,
            5.37037,
        ),
        bias=-5.01355,
    ),
    unit_bridge=Logistic(
        weights=(0.51274, 2.65965, 1.35459, 1.10364, 1.89684, -0.9801, 0.37318, 1.88313, 0.42723, 0.92421, 0.48588),
        bias=-4.34566,
    ),
)

CERTIFICATES = ()
