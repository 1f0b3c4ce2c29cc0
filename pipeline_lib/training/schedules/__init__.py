"""Learning-rate schedules: each public function of a file here is a name that `schedule.name` in a task may take.

Its arguments are the options. It returns a function of the step alone, the factor of the peak rate: the factor at step t
is that of the update from W_t to W_{t+1}. `warmup` is the number of steps over which the factor rises linearly from 0, on top.
"""
