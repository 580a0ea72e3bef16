"""Models of other people's tools, one folder each, beside the machine and apart from it.

A model reads its own files and gives its own figures; it shares nothing with engine, plan or closed
form, so that a comparison with the machine means something. Import-linter holds this.
"""
