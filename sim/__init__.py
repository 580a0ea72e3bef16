"""A cycle-level discrete-event simulator of the Eyeriss v1 CNN accelerator.

>>> from sim.run import estimate, run
>>> [layer] = run("lenet5", layers=["C1"]).layers
>>> [estimated] = estimate("lenet5", layers=["C1"]).layers
>>> layer.processing_cycles, estimated.processing_cycles
(1758, 1758)
"""
