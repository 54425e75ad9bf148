"""Value normalisers, coordinate systems and tokens: how one column's values come into one form."""
