"""The machine of docs/machine.md a second time: slow, plain, stepped cycle by cycle.

Nothing of `sim` is in it but the mapping as named numbers. Where the simulator keeps dates
in logs, here every port, bus, PE and the link is asked in every cycle what it does; where the plan
counts classes of passes, here loops cut blocks in the order of section 2. So what both agree in is
what the page says, not what a shared piece of code says.

`run_layer` of `naive.layer` gives the cycles of a layer.
"""
