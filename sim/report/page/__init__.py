"""The report as one HTML file.

>>> from sim.report.load import of_result
>>> from sim.report.page.html import render_page
>>> from sim.run import estimate
>>> page = render_page([("lenet5", of_result(estimate("lenet5", layers=["C1"])))])
>>> page[:15]
'<!DOCTYPE html>'
"""
