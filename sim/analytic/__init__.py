"""The closed form: what a layer takes, computed rather than simulated; a folder a dataflow."""
