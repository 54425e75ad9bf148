"""The error of everything that must not go on until a person has looked."""


class DataStopped(RuntimeError):
    """A check that must hold does not: the data stay back until a person has looked."""
