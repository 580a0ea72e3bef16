"""The ledger of accesses, results, and the energy that they cost.

>>> from sim.run import estimate
>>> result = estimate("lenet5", layers=["C1"])
>>> result.layers[0].entries["glb.ifmap.read"], float(result.energy.by_action["glb.ifmap.read"])
(1024, 6144.0)
"""
