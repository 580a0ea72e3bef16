"""Layer shapes and networks. Knows no hardware.

>>> from workloads.network import load_network
>>> [layer.name for layer in load_network("lenet5").layers]
['C1', 'C3', 'C5', 'F6', 'OUTPUT']
"""
