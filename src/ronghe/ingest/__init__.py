"""Takes deliveries as they come: finds their encoding, reads their records, keeps the originals."""
