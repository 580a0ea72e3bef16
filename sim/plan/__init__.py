"""Plans that may run: choice of mappings, limits, order of passes, DRAM traffic; data, no clock.

>>> from hw_models.load import load_hardware
>>> from sim.plan.make import make_plan
>>> from sim.plan.mapper import auto_mapping
>>> from workloads.layer import Layer
>>> layer, chip = Layer(name="L", M=16, C=4, R=3, S=3, H=15, W=15), load_hardware("eyeriss_v1")
>>> plan = make_plan(layer, 1, chip, auto_mapping(layer, 1, chip))
>>> sum(plan.classes.values()), len(plan.classes)
(1, 1)
"""
