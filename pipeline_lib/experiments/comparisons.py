"""The changes of starts that paper A's figures compare: how a config words each, and what its line is called."""

from __future__ import annotations

import re

SIGNS = {
    "mix(k, fresh)": "signs k, fresh magnitudes",
    "mix(k, initial)": "signs k, magnitudes 0",
    "mix(initial)": "signs 0, magnitudes k",
}
INITIAL = {"mix(initial, initial)": "signs and magnitudes 0"}
SHUFFLES = {
    "shuffle(global)": "shuffled globally",
    "shuffle(layer)": "shuffled in layers",
    "shuffle(kernel)": "shuffled in filters",
}
NEURONS = {
    "shuffle(incoming)": "shuffled in incoming weights",
    "shuffle(outgoing)": "shuffled in outgoing weights",
}
SAME_SIGN = {
    "shuffle(global, same_sign)": "same sign, globally",
    "shuffle(layer, same_sign)": "same sign, in layers",
    "shuffle(kernel, same_sign)": "same sign, in filters",
    "shuffle(layer, initial_signs)": "in layers, signs 0",
}
NOISE = {f"noise({n:g})": f"noise {n:g}σ" for n in (0.5, 1, 2, 3)}
# The fourteen perturbations of figure 8.
PAPER = SIGNS | SHUFFLES | SAME_SIGN | NOISE
EVERY = PAPER | INITIAL | NEURONS
# Figure 9, by panel.
PRETEXTS = {
    "random_labels(1)": "random labels",
    "rotation(false)": "rotation",
    "blur(4)": "4x blur",
    "blur(4) + rotation(false)": "4x blur + rotation",
}
ROTATION = "rotation(false)"


def family(pretext: str) -> str:
    """Leave out the options of a pretext: those of one family differ in them alone."""
    return re.sub(r"\([^()]*\)", "", pretext)


# Paper C: the start of figure 4, the strategy of figure 8, all strategies, and the rule of figure 10.
ROBUST = "pruning_sized"
LR_REWINDING = "lr_rewinding"
STRATEGIES = ("weight_rewinding", LR_REWINDING, "fine_tuning")
ADAPTIVE = "adaptive"
