"""Timeloop's model of a given mapping (Parashar et al., ISPASS 2019; v3.0.3 and master 4cf6d4c)."""

from sim.models.timeloop.counts import RULES, Evaluation, Rules, evaluate
from sim.models.timeloop.files import Files, parse_files, read_files
from sim.models.timeloop.prices import read_prices

__all__ = [
    "RULES",
    "Evaluation",
    "Files",
    "Rules",
    "evaluate",
    "parse_files",
    "read_files",
    "read_prices",
]
