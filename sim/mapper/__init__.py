"""The mapper: the best legal mapping of a layer, with a proof that no other is better."""
