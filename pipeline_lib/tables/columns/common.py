"""What a column is, and the columns that several tables have."""

from __future__ import annotations

from dataclasses import dataclass

STABLE_BELOW = 0.02  # G-10: two percentage points
MATCHING_WITHIN = 0.002  # G-11: two tenths of a percentage point, where the dense deviation is smaller


@dataclass(frozen=True)
class Column:
    """One column: Arrow type, unit ("1" for counts and shares) and meaning."""

    name: str
    type: str
    unit: str
    meaning: str


TASK = Column("task", "string", "-", "name of the task: network, data set and recipe")
SEED = Column("seed", "int64", "-", "replicate: initialisation, ladder and data streams are its own")
KIND = Column("kind", "string", "-", "imp (level 0 is the dense network), random_prune or reinit")
K = Column("k", "int64", "steps", "rewind step: training copies start from the state after so many steps")
LEVEL = Column("level", "int64", "-", "pruning level; 0 is dense")
DENSITY = Column("density", "double", "1", "share of prunable weights that survive, counted in the mask")
START = Column(
    "start", "string", "-", "state that the run begins from, as a config words it: k500 is W_500; reinit draws it anew"
)
ORDER = Column("order", "int64", "-", "order of SGD noise from step k on; the first one is the ladder's own")
PAIR = (
    Column("order_1", "int64", "-", "order of the run at alpha = 1"),
    Column("order_2", "int64", "-", "order of the run at alpha = 0"),
)
STEP = Column("step", "int64", "steps", "optimiser steps since initialisation")
BATCHNORM = Column("batchnorm", "string", "-", "statistics on the line: averaged like weights, or recomputed on training images")
ENDS = (
    Column("mean_end_error", "double", "1", "mean error of the two runs"),
    Column("max_error", "double", "1", "highest error on the line: the raw maximum (C-X3)"),
    Column("instability", "double", "1", "max_error - mean_end_error"),
)
L2 = (
    Column("l2_params", "double", "1", "L2 distance of the two runs over all trainable parameters"),
    Column("l2_weights", "double", "1", "L2 distance of the two runs over prunable weights"),
)
SPLIT = Column("split", "string", "-", "train or test: the whole split, eval mode, no augmentation")
ERROR = Column("error", "double", "1", "share of wrong predictions")
LOSS = Column("loss", "double", "nats", "mean cross-entropy")
SEEDS = Column("num_seeds", "int64", "1", "seeds")

WHAT = Column(
    "what", "string", "-", "levels: two solutions; projection: one and its pruned self; perturbed: one and the run of start"
)
SECOND = Column("start", "string", "-", "start of network 2: that of the ladder, or for perturbed ones what it was changed to")
LEVELS = (
    Column("level_1", "int64", "-", "level of network 1"),
    Column("level_2", "int64", "-", "level of network 2; of a projection the level that it is pruned to"),
)
EXCESS = (
    Column("barrier", "double", "1", "highest excess of error over the chord between the ends (paper C, definition 2.1)"),
    Column("loss_barrier", "double", "nats", "highest excess of loss over the chord between the ends"),
    Column("midpoint_error", "double", "1", "error at alpha = 1/2, whether or not it is one of the points"),
)
PLANE = Column("plane", "string", "-", "pruning: of solution, projection and next solution; directions: of two ways to prune")
PLACE = (
    Column("x", "double", "1", "distance along the first axis, in weight space"),
    Column("y", "double", "1", "distance along the second axis, in weight space"),
)
TEST_ERROR = Column("test_error", "double", "1", "share of wrong predictions on the test split")
TEST_LOSS = Column("test_loss", "double", "nats", "mean cross-entropy on the test split")
DIMENSION = Column("dimension", "int64", "1", "surviving prunable weights that the operator acts on")
EXAMPLES = Column("num_examples", "int64", "1", "training images")
MEAN_LOSS = Column("loss", "double", "nats", "mean cross-entropy over those images")
OPERATOR = Column("operator", "string", "-", "hessian or gauss_newton, of the mean training loss")
EPSILON = Column("epsilon", "double", "nats", "height of the matching sublevel set above the solution; null where it has none")

FOLLOWED = 10  # weights whose values telemetry has
