"""Row stationary, the dataflow of the chip: passes as programs, and real words in their order."""
