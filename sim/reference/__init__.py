"""What is published of the Eyeriss v1 chip, and what is compared with it or fitted to it.

`tables` has the figures, one copy of each. `comparison` compares a result with every cell,
`validation` simulates what was measured, and `calibration` fits energy prices to measured powers.

>>> from sim.reference.tables import load_published
>>> load_published("vgg16").value("CONV1-1", "power_mw")
247.0
"""
