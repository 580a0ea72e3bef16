"""The closed form; imports nothing of the engine, or the cross-check would prove nothing."""
