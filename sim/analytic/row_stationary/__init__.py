"""The closed form of row stationary: counts, cycles of passes, DRAM stall, the layer.

>>> from sim.analytic.row_stationary.counts import layer_counts
>>> from sim.run import prepare
>>> [plan] = prepare("lenet5", layers=["C1"]).plans
>>> layer_counts(plan)["mac.total"]
117600
"""
