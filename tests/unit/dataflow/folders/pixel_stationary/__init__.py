"""A toy dataflow in a folder: each PE keeps a pixel of the ofmap while channels go by."""
