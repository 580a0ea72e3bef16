"""NeuroSpector, a scheduling optimizer: its files, its analyzer and its searches.

After its description in docs/neurospector.md; the tool is github.com/yonseicasl/NeuroSpector,
version 1.5.0 (release) and 1.6.0 (development branch).

>>> from sim.models.neurospector.splits import count_splits, splits
>>> splits(4, 2).tolist()
[[1, 4], [2, 2], [4, 1]]
>>> count_splits(64, 3)
28
"""
