"""The closed form of row stationary: counts, cycles of passes, DRAM stall, the layer.

>>> from sim.analytic.row_stationary.counts import layer_counts
>>> from sim.run import prepare
>>> [plan] = prepare("lenet5", layers=["C1"], mapping="m=6,n=1,e=14,p=6,q=1,r=1,t=1").plans
>>> layer_counts(plan)["mac.total"]
117600
"""
