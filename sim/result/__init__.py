"""The result file as one model: written, read, checked, documented and handed to the page.

>>> from sim.result.model import CyclesPart
>>> CyclesPart.model_fields["total"].description
'total latency: `processing` and `standstill`'
"""
