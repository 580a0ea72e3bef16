"""The closed form: cycles and counts of a layer without a simulation; one folder per dataflow.

>>> from sim.analytic.form import total_cycles
>>> from sim.run import prepare
>>> [plan] = prepare("lenet5", layers=["C1"]).plans
>>> total_cycles(plan)
6532
"""
