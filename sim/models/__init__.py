"""Models of other people's tools, one folder each, beside the machine and apart from it.

A model reads its own files or a network of ours and gives its own figures. It shares nothing with
engine, plan, closed form, ledger or chips, so that a comparison with the machine means something:
networks and the reader of files are all it takes. Import-linter holds this. Its text is a module of
`sim.report.text`, made of `sim.report.tables`.
"""
