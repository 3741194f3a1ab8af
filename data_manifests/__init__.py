"""One TOML manifest a data set, read by :mod:`biostyle.data.manifest`; no code, no data."""
