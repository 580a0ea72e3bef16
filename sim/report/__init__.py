"""Results in, text, plots and pages out; runs nothing.

>>> from sim.report.load import of_result
>>> from sim.report.views import views
>>> from sim.run import estimate
>>> [view] = views(of_result(estimate("lenet5", layers=["C1"])))
>>> view.name
'C1'
"""
