"""What several commands share: what was asked for, what goes onto a screen, Snakemake, and the view of a run."""
