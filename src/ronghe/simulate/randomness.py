"""Independent streams of chance below one seed, so that a change in one feed leaves the others alone."""

import random
import zlib

import numpy as np


def stream(seed: int, name: str) -> random.Random:
    """Return the stream of that name (a string seed is hashed by SHA-512, equal on every machine)."""
    return random.Random(f"{seed}/{name}")


def vector_stream(seed: int, name: str) -> np.random.Generator:
    """Return the stream of that name for whole arrays."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
