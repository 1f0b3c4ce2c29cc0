"""What a claim may measure: every public function of a file here is a name in `config/claims`, its last arguments are options.

All are given the tables by name (runs and curves as `tables.divided` parts them), a task and the level of its sparse networks,
and answer None where the tables lack what it takes. Options that many share:

    of, to       what is measured: accuracy, matching_margin, instability, distance or path_peak (`evidence.curve`)
    kind         dense, or which sparse networks: imp, random_prune, reinit; other: to compare with
    k            rewind step; through: all steps of the grid from 0 to this one; reach: the whole grid, which must extend so far
    split        train or test
    start        what runs start from, in the canonical wording of `starts`; against: what others start from
    change       what follows the rewind step in a start, such as `shuffle(layer)`; reference: another, or none
    from_level   pruning levels of the table from this one to `to_level`, of which both must be there
    from_step    steps of training from this one to `to_step`; either may be missed by ten steps
    take         the mean over levels or seeds, or the lowest or highest of them, or of rewind steps or durations
    pairs        of levels and the next ones all, those that both match, or the others; place: on the line, or in its middle
    unit         percentage points, or tolerances: the points that a matching network may lack
    in_errors    whether a difference is given in units of its standard error
    least        replicates (runs or pairs) that each mean needs
"""
