"""A cycle-level discrete-event simulator of the Eyeriss v1 CNN accelerator.

>>> from sim.run import estimate, run
>>> mapping = "m=6,n=1,e=14,p=6,q=1,r=1,t=1"
>>> [layer] = run("lenet5", layers=["C1"], mapping=mapping).layers
>>> [estimated] = estimate("lenet5", layers=["C1"], mapping=mapping).layers
>>> layer.processing_cycles, estimated.processing_cycles
(2318, 2318)
"""
