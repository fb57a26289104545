"""Query-focused evidence selection under a hard token budget, with a receipt and a calibrated stop."""

from ragthrift.compress.calibrate import Certificate, Labelled, calibrate
from ragthrift.compress.compressor import Compressor

__all__ = ["Certificate", "Compressor", "Labelled", "calibrate"]
