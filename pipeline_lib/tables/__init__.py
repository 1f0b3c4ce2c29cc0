"""The tables: columns, how they come from measurements, and tables derived from tables."""
