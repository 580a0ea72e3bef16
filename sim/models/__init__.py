"""Models of other people's tools, one folder each, beside the machine and apart from it.

A model reads its own files, or one of the networks of `workloads`, and gives its own figures. It
takes nothing else: nothing of engine, plan, closed form, ledger or chips, so that a comparison with
the machine means something (import-linter holds this). What it prints is a module of
`sim.report.text`, made of `sim.report.tables`.

>>> from pkgutil import iter_modules
>>> [model.name for model in iter_modules(__path__)]
['accelergy', 'first_order', 'fodlam', 'maestro', 'neurospector', 'timeloop']
"""
