"""The machine in SimPy: one hardware block a file, wired by `machine`.

>>> from sim.engine.dram import PrefetchState
>>> from sim.engine.passes import pass_machine
>>> from sim.run import prepare
>>> [plan] = prepare("lenet5", layers=["C1"], mapping="m=6,n=1,e=14,p=6,q=1,r=1,t=1").plans
>>> first = next(iter(plan))
>>> pass_machine(first.shape, plan.hw, PrefetchState()).run().cycles
1184
"""
