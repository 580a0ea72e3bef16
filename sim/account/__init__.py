"""The ledger of accesses, results, and the energy that they cost."""
