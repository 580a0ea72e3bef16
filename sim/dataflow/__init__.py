"""What a pass does, as data: programs for the machine, and the dataflows that write them.

>>> from sim.dataflow.program import find_lowering
>>> from sim.run import prepare
>>> [plan] = prepare("lenet5", layers=["C1"], mapping="m=6,n=1,e=14,p=6,q=1,r=1,t=1").plans
>>> shape = next(iter(plan)).shape
>>> program = find_lowering(shape.dataflow).program(shape, plan.hw)
>>> program.counts()["noc.gin_ifmap.words"]
576
"""
