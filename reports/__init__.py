"""Report templates, and small reference reports; data that travel with the package, no code."""
