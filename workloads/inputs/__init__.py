r"""What users write, read so that every fault names its file, line and field.

>>> from workloads.inputs.document import parse_document
>>> document = parse_document("array:\n  rows: twelve", "chip.yaml")
>>> str(document.fault(("array", "rows"), "must be a whole number"))
'chip.yaml:2: array.rows: must be a whole number'
"""
