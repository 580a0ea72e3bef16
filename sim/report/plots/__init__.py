"""Figures for papers, drawn with Matplotlib.

>>> from sim.report.load import of_result
>>> from sim.report.plots.figures import plot_files
>>> from sim.run import estimate
>>> result = of_result(estimate("lenet5", layers=["C1"]))
>>> [name for name, _ in plot_files(result, ["stalls"])]
['C1/stalls.svg', 'C1/stalls.pdf']
"""
