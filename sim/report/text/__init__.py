"""Results, and figures of other tools' models, as text for the terminal.

>>> from sim.report.text.summary import render_brief
>>> from sim.run import estimate
>>> print(render_brief(estimate("lenet5", layers=["C1"])).splitlines()[0])
lenet5 on eyeriss_v1
"""
