"""Accelergy's pricing: an energy reference table and action counts in, energies out.

Accelergy (github.com/Accelergy-Project/accelergy at 6911d15, v0.4) asks no plug-in where it is
given both; this is that part of it, in its order of additions, so that sums are equal to the last
digit.
"""

from sim.models.accelergy.files import Files, read_files
from sim.models.accelergy.pricing import Estimation, price

__all__ = ["Estimation", "Files", "price", "read_files"]
