"""Checks: the engine against the closed form, real words against NumPy, counts of other models.

>>> from sim.check.compare import check_layer
>>> from sim.run import prepare
>>> [plan] = prepare("lenet5", layers=["C1"]).plans
>>> compared = check_layer(plan)
>>> compared.engine_cycles, compared.closed_form_cycles, compared.differences
(1758, 1758, ())
"""
