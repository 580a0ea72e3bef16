"""Plans that may run: their limits, order of passes, DRAM traffic; data, no clock.

>>> from hw_models.load import load_hardware
>>> from sim.dataflow.base import find_dataflow
>>> from sim.plan.make import make_plan
>>> from workloads.layer import Layer
>>> layer, chip = Layer(name="L", M=16, C=4, R=3, S=3, H=15, W=15), load_hardware("eyeriss_v1")
>>> mapping = find_dataflow().parse_mapping("m=16,n=1,e=13,p=8,q=2,r=2,t=1")
>>> plan = make_plan(layer, 1, chip, mapping)
>>> sum(plan.classes.values()), len(plan.classes)
(2, 1)
"""
