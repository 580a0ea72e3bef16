"""Layer shapes and networks. Knows no hardware."""
