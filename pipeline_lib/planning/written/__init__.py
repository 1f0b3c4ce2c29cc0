"""A plan on disk, at work: finding a line of it, and making what it lacks without Snakemake."""
