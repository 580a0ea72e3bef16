"""The mapper: the best legal mapping of a layer, with a proof that no other is better.

>>> from hw_models.load import load_hardware
>>> from sim.mapper.objectives import Objective
>>> from sim.mapper.search import best_mappings
>>> from sim.run import load_pricing
>>> from workloads.layer import Layer
>>> layer, chip = Layer(name="L", M=16, C=4, R=3, S=3, H=15, W=15), load_hardware("eyeriss_v1")
>>> outcome = best_mappings(layer, 1, chip, Objective.read("energy"), load_pricing())
>>> str(outcome.best[0].mapping), outcome.gap
('m=16,n=1,e=13,p=16,q=1,r=4,t=1', 0.0)
"""
