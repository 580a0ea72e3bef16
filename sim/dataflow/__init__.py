"""What a pass does, as data: programs for the machine, and the dataflows that write them."""
