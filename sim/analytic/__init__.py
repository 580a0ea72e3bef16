"""The closed form: cycles and counts of a layer without a simulation; one folder per dataflow.

>>> from sim.analytic.form import total_cycles
>>> from sim.run import prepare
>>> [plan] = prepare("lenet5", layers=["C1"], mapping="m=6,n=1,e=14,p=6,q=1,r=1,t=1").plans
>>> total_cycles(plan)
7198
"""
