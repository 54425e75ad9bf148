"""Protection of persons: treatment of identifiers, and the gate before any published figure."""
