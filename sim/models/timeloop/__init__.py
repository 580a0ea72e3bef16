"""Timeloop's model of a given mapping (Parashar et al., ISPASS 2019; v3.0.3 and master 4cf6d4c).

Four PEs, each with an output, step through a filter of three words:

>>> text = '''architecture:
...   version: 0.4
...   nodes:
...   - !Component {name: Main, class: DRAM, attributes: {width: 16, datawidth: 16}}
...   - !Component
...     name: reg
...     class: regfile
...     attributes: {width: 16, datawidth: 16, depth: 3}
...     spatial: {meshX: 4}
...   - !Component {name: mac, class: intmac, attributes: {datawidth: 16}}
... problem:
...   shape:
...     dimensions: [R, P]
...     data-spaces:
...     - {name: W, projection: [[[R]]]}
...     - {name: I, projection: [[[R], [P]]]}
...     - {name: O, projection: [[[P]]], read-write: true}
...   instance: {R: 3, P: 4}
... mapping:
... - {target: reg, type: spatial, factors: [P=4]}
... - {target: Main, type: temporal, factors: [R=3]}
... '''
>>> files = parse_files([(text, "toy.yaml")])
>>> toy = evaluate(files.problem, files.architecture, files.mapping, None)
>>> toy.cycles, toy.utilization
(3, 1.0)
"""

from sim.models.timeloop.counts import RULES, Evaluation, Rules, evaluate
from sim.models.timeloop.files import Files, parse_files, read_files
from sim.models.timeloop.prices import read_prices

__all__ = [
    "RULES",
    "Evaluation",
    "Files",
    "Rules",
    "evaluate",
    "parse_files",
    "read_files",
    "read_prices",
]
