"""A cycle-level discrete-event simulator of the Eyeriss v1 CNN accelerator."""
