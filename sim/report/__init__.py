"""Results in, pages out; never runs anything."""
