"""Hardware descriptions and energy tables: no behaviour, no time, no counts."""
