"""NeuroSpector, a scheduling optimizer: its files, its analyzer and its searches.

After its description in docs/neurospector.md; the tool is github.com/yonseicasl/NeuroSpector,
version 1.5.0 (release) and 1.6.0 (development branch).
"""
