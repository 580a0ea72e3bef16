"""Hardware descriptions and energy tables: no behaviour, no time, no counts.

>>> from hw_models.load import load_hardware
>>> chip = load_hardware("eyeriss_v1", ["array.rows=24"])
>>> chip.array.rows, chip.array.columns
(24, 14)
"""
