"""Free Chinese text without what identifies a person in it: Presidio's engines with recognizers of our own, offline."""
