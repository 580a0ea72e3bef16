"""The machine in SimPy: one hardware block a file, wired by `top`."""
