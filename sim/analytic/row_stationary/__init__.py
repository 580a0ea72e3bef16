"""The closed form of row stationary: counts, cycles of passes, DRAM stall, the layer."""
