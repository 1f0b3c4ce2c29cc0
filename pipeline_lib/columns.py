"""The columns of every table: types, units and meanings."""

from __future__ import annotations

from dataclasses import dataclass

STABLE_BELOW = 0.02  # G-10: two percentage points


@dataclass(frozen=True)
class Column:
    """One column: Arrow type, unit ("1" for counts and shares) and meaning."""

    name: str
    type: str
    unit: str
    meaning: str


_TASK = Column("task", "string", "-", "name of the task: network, data set and recipe")
_SEED = Column("seed", "int64", "-", "replicate: initialisation, ladder and data streams are its own")
_KIND = Column("kind", "string", "-", "imp (level 0 is the dense network), random_prune or reinit")
_K = Column("k", "int64", "steps", "rewind step: training copies start from the state after so many steps")
_LEVEL = Column("level", "int64", "-", "pruning level; 0 is dense")
_DENSITY = Column("density", "double", "1", "share of prunable weights that survive, counted in the mask")
_START = Column(
    "start", "string", "-", "state that the run begins from, as a config words it: k500 is W_500; reinit draws it anew"
)
_ORDER = Column("order", "int64", "-", "order of SGD noise from step k on; the first one is the ladder's own")
_PAIR = (
    Column("order_1", "int64", "-", "order of the run at alpha = 1"),
    Column("order_2", "int64", "-", "order of the run at alpha = 0"),
)
_STEP = Column("step", "int64", "steps", "optimiser steps since initialisation")
_BATCHNORM = Column("batchnorm", "string", "-", "statistics on the line: averaged like weights, or recomputed on training images")
_ENDS = (
    Column("mean_end_error", "double", "1", "mean error of the two runs"),
    Column("max_error", "double", "1", "highest error on the line: the raw maximum (C-X3)"),
    Column("instability", "double", "1", "max_error - mean_end_error"),
)
_L2 = (
    Column("l2_params", "double", "1", "L2 distance of the two runs over all trainable parameters"),
    Column("l2_weights", "double", "1", "L2 distance of the two runs over prunable weights"),
)
_SPLIT = Column("split", "string", "-", "train or test: the whole split, eval mode, no augmentation")
_ERROR = Column("error", "double", "1", "share of wrong predictions")
_LOSS = Column("loss", "double", "nats", "mean cross-entropy")
_SEEDS = Column("num_seeds", "int64", "1", "seeds")

FOLLOWED = 10  # weights whose values telemetry has

COLUMNS: dict[str, tuple[Column, ...]] = {
    "runs": (
        _TASK, _SEED, _ORDER, _KIND,
        _START,
        Column("mask", "string", "-", "none, the ladder's criterion, or shuffled (a ladder mask permuted in each layer)"),
        _K, _LEVEL, _DENSITY,
        Column("num_params", "int64", "1", "trainable parameters of the dense network"),
        Column("num_kept", "int64", "1", "surviving prunable weights"),
        Column("precision", "string", "-", "number format of training and evaluation: fp32, tf32 or bf16"),
        Column("channels_last", "bool", "-", "memory layout of images and convolutions"),
        Column("start_step", "int64", "steps", "step of the schedule at which the run begins: k, or 0 after pretraining"),
        Column("steps", "int64", "steps", "step at which training ends; the run itself takes steps - start_step"),
        Column("diverged", "bool", "-", "a weight became infinite or NaN here or where the mask comes from; errors are null"),
        Column("last_finite_step", "int64", "steps", "last step with a finite loss of a diverged run, else null"),
        Column("train_error", "double", "1", "share of wrong predictions on the training split at the end"),
        Column("train_loss", "double", "nats", "mean cross-entropy on the training split at the end"),
        Column("test_error", "double", "1", "share of wrong predictions on the test split at the end"),
        Column("test_loss", "double", "nats", "mean cross-entropy on the test split at the end"),
    ),
    "curves": (
        _TASK, _SEED, _ORDER, _KIND, _START, _K, _LEVEL, _DENSITY,
        _STEP,
        Column("split", "string", "-", "test, or batch: the mean over training mini-batches since the last row, as trained"),
        _ERROR, _LOSS,
    ),
    "interpolation": (
        _TASK, _SEED, *_PAIR, _KIND, _K, _LEVEL, _DENSITY,
        Column("alpha", "double", "1", "position on the line: alpha W_1 + (1 - alpha) W_2"),
        _SPLIT, _BATCHNORM, _ERROR, _LOSS,
    ),
    "instability": (
        _TASK, _SEED, *_PAIR, _KIND, _K, _LEVEL, _DENSITY, _SPLIT, _BATCHNORM, *_ENDS,
        Column("barrier", "double", "1", "highest excess of error over the chord between the ends (paper C, definition 2.1)"),
        Column("loss_barrier", "double", "nats", "highest excess of loss over the chord between the ends"),
        Column("midpoint_error", "double", "1", "error at alpha = 1/2, whether or not it is one of the points"),
        Column("stable", "bool", "-", f"instability is below {STABLE_BELOW}"),
        Column("onset", "bool", "-", f"k is the smallest one whose mean instability over all pairs is below {STABLE_BELOW}"),
    ),
    "distances": (_TASK, _SEED, *_PAIR, _KIND, _K, _LEVEL, _DENSITY, *_L2),
    "throughout": (_TASK, _SEED, *_PAIR, _KIND, _K, _LEVEL, _STEP, _SPLIT, *_ENDS),
    "layers": (
        _TASK, _SEED, *_PAIR, _KIND, _K, _LEVEL, _DENSITY, _SPLIT,
        Column("block", "string", "-", "part of the network that moves from run 1 to run 2; all others stay at run 1"),
        Column("start_error", "double", "1", "error of run 1"),
        Column("end_error", "double", "1", "error of run 1 with the block of run 2"),
        Column("max_error", "double", "1", "highest error on the way"),
        Column("rise", "double", "1", "max_error - start_error"),
    ),
    "means": (
        _TASK, _KIND, _K, _LEVEL, _DENSITY, _SPLIT, _BATCHNORM,
        Column("instability", "double", "1", "mean over all pairs"),
        Column("deviation", "double", "1", "standard deviation over all pairs"),
        Column("error", "double", "1", "standard error: deviation / sqrt(num_pairs), as if pairs were independent"),
        Column("seed_error", "double", "1", "standard error of the mean over seeds, which does not assume that"),
        Column("num_pairs", "int64", "1", "pairs"),
        _SEEDS,
    ),
    "onsets": (
        _TASK, _KIND, _LEVEL,
        Column("of", "string", "-", "stability (test instability below 0.02) or matching (accuracy of dense less sd or 0.002)"),
        Column("k", "int64", "steps", "smallest rewind step of the grid with the property; null if none has it"),
        Column("low", "int64", "steps", "2.5 % quantile of k over bootstrap samples of seeds; null beyond the grid"),
        Column("high", "int64", "steps", "97.5 % quantile of k over bootstrap samples of seeds; null beyond the grid"),
        Column("found", "double", "1", "share of bootstrap samples in which a step of the grid has the property"),
        _SEEDS,
    ),
    "networks": (
        _TASK,
        Column("network", "string", "-", "name of the network function"),
        Column("dataset", "string", "-", "name of the data set"),
        Column("num_params", "int64", "1", "trainable parameters"),
        Column("steps", "int64", "steps", "length of training"),
        Column("batch_size", "int64", "1", "examples a batch"),
        Column("optimiser", "string", "-", "name of the optimiser"),
        Column("lr", "double", "1", "peak learning rate"),
        Column("schedule", "string", "-", "name of the schedule"),
        Column("warmup", "int64", "steps", "length of the linear warm-up"),
        Column("accuracy", "double", "1", "mean test accuracy of the dense network over seeds"),
        Column("accuracy_sd", "double", "1", "its standard deviation"),
        _SEEDS,
        Column("density", "double", "1", "share of weights left at the sparse level; null without one"),
        Column("pruning", "string", "-", "iterative or one-shot"),
    ),
    "telemetry": (
        _TASK, _SEED, _STEP,
        Column("test_error", "double", "1", "share of wrong predictions on the test split; null where it was not evaluated"),
        Column("test_loss", "double", "nats", "mean cross-entropy on the test split; null where it was not evaluated"),
        Column("mean_magnitude", "double", "1", "mean absolute value of the prunable weights"),
        Column("signs_changed", "double", "1", "share of prunable weights whose sign is not that at step 0"),
        Column("gradient_norm", "double", "1", "L2 norm of the mini-batch gradient here: all parameters, no weight decay"),
        Column("gradient_mean", "double", "1", "mean absolute value of that gradient's entries"),
        Column("l2_initial", "double", "1", "L2 distance of the prunable weights to those at step 0"),
        Column("l2_final", "double", "1", "L2 distance of the prunable weights to those at the end of the run"),
        Column("cosine_initial", "double", "1", "cosine between the prunable weights and those at step 0"),
        Column("cosine_final", "double", "1", "cosine between the prunable weights and those at the end of the run"),
        *(Column(f"weight_{i}", "double", "1", "value of a prunable weight drawn once a seed") for i in range(FOLLOWED)),
    ),
    "signs": (
        _TASK, _SEED,
        Column("step_1", "int64", "steps", "earlier step"),
        Column("step_2", "int64", "steps", "later step"),
        Column("scope", "string", "-", "all prunable weights, or the survivors of the ladder from this step, such as k500"),
        _LEVEL,
        Column("changed", "double", "1", "share of the scope's weights whose signs differ between the two steps"),
        Column("num_weights", "int64", "1", "weights of the scope"),
    ),
    "perturbations": (
        _TASK, _SEED, _KIND, _START, _K, _LEVEL, _DENSITY,
        Column("layer", "string", "-", "prunable tensor, or all: pooled over all of them"),
        Column("mean", "double", "1", "mean of the change over surviving weights; null where a layer has none"),
        Column("deviation", "double", "1", "effective standard deviation: that of the change over surviving weights"),
        Column("norm", "double", "1", "L2 norm of the change"),
        Column("num_weights", "int64", "1", "surviving weights"),
    ),
    "correlations": (
        _TASK, _K, _LEVEL,
        Column("set", "string", "-", "paper: the fourteen perturbations of figures 4 to 7; all: every one that was measured"),
        Column("r", "double", "1", "Pearson correlation of mean effective deviation and mean test accuracy over perturbations"),
        Column("p", "double", "1", "two-sided p-value of r by Student's t"),
        Column("low", "double", "1", "2.5 % quantile of r over bootstrap samples of perturbations"),
        Column("high", "double", "1", "97.5 % quantile of r over bootstrap samples of perturbations"),
        Column("num_perturbations", "int64", "1", "perturbations"),
        _SEEDS,
    ),
    "spectrum": (
        _TASK, _SEED, _KIND, _K, _LEVEL, _STEP,
        Column("operator", "string", "-", "hessian or gauss_newton, of the mean training loss in eval mode"),
        Column("probe", "int64", "-", "random start vector of the iteration; -1 is the gradient"),
        Column("node", "double", "1", "Ritz value: an eigenvalue of the iteration's small matrix"),
        Column("weight", "double", "1", "squared first component: share of the start vector in this direction"),
        Column("residual", "double", "1", "norm of the Ritz pair's residual"),
    ),
    "curvature": (
        _TASK, _SEED, _KIND, _K, _LEVEL, _STEP,
        Column("top", "double", "1", "largest eigenvalue of the Hessian of the training loss"),
        Column("bottom", "double", "1", "smallest eigenvalue"),
        Column("negative_mass", "double", "1", "share of the eigenvalues' absolute sum that is negative"),
        Column("trace", "double", "1", "sum of the eigenvalues, estimated"),
        Column("overlap", "double", "1", "share of the gradient's square in the top subspace; null where it has not converged"),
        Column("subspace", "int64", "1", "dimension of the top subspace"),
        Column("num_probes", "int64", "1", "random start vectors"),
        Column("num_examples", "int64", "1", "training images"),
    ),
    "timeline": (
        _TASK,
        Column("event", "string", "-", "what happens"),
        Column("of", "string", "-", "table that it is read off"),
        Column("step", "double", "steps", "step at which it happens; null if it does not"),
        Column("low", "double", "steps", "earliest over seeds, or lower end of the interval"),
        Column("high", "double", "steps", "latest over seeds, or upper end of the interval"),
        _SEEDS,
    ),
    "claims": (
        Column("claim", "string", "-", "identifier of the claim, see config/claims"),
        Column("setting", "string", "-", "task that it is judged on"),
        Column("text", "string", "-", "the claim in words"),
        Column("source", "string", "-", "where the paper makes it"),
        Column("unit", "string", "-", "unit of the values"),
        Column("measured", "double", "unit", "measured value; infinity for an onset beyond the grid, null if not measured"),
        Column("spread", "double", "unit", "standard deviation of the measured value over replicates"),
        Column("num", "int64", "1", "replicates"),
        Column("paper_value", "double", "unit", "the paper's value; null where it gives none"),
        Column("paper_spread", "double", "unit", "the paper's standard deviation"),
        Column("rule", "string", "-", "what the measured value must obey"),
        Column("verdict", "string", "-", "holds, fails, or not measured"),
    ),
}  # fmt: skip
