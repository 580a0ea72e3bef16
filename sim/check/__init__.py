"""Checks: the engine against the closed form, real words against NumPy, counts of other models.

>>> from sim.check.compare import check_layer
>>> from sim.run import prepare
>>> [plan] = prepare("lenet5", layers=["C1"], mapping="m=6,n=1,e=14,p=6,q=1,r=1,t=1").plans
>>> compared = check_layer(plan)
>>> compared.engine_cycles, compared.closed_form_cycles, compared.differences
(2318, 2318, ())
"""
