"""Results and models of others as text for the terminal."""
