"""The ledger of accesses, results, and the energy that they cost.

>>> from sim.run import estimate
>>> result = estimate("lenet5", layers=["C1"], mapping="m=6,n=1,e=14,p=6,q=1,r=1,t=1")
>>> result.layers[0].entries["glb.ifmap.read"], float(result.energy.by_action["glb.ifmap.read"])
(1152, 6912.0)
"""
