"""The keys at a config's top, of a task, and of an experiment besides its grid. They stay mappings: `config` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pipeline_lib.core.values import Examples, In, Items, Length
from pipeline_lib.experiments.settings.basics import PerJob
from pipeline_lib.experiments.settings.keys import REQUIRED, Named, Shape, key

# A path without what a shell, a glob or Snakemake would read into it; $(?!\n) is an end that no line break follows.
_FOLDER = {"type": "string", "pattern": r"^(?!-)[\w ./@%+=,-]+$(?!\n)"}
_NAME = r"^[a-z0-9_]+$(?!\n)"
_DESCRIPTIONS = {
    "type": "object",
    "propertyNames": {"type": "string", "pattern": _NAME, "maxLength": 80},
    "additionalProperties": {"$ref": "#/$defs/task"},
}
_EXPERIMENTS = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"type": "string", "pattern": _NAME},
    "additionalProperties": {"$ref": "#/$defs/experiment"},
}
_TASKS = {
    "oneOf": [
        {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string"}},
        {"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#/$defs/grid"}},
    ]
}
_FILES = {"propertyNames": {"type": "string", "pattern": r"^(?!k[0-9])[a-zA-Z][a-zA-Z0-9_]*$(?!\n)", "maxLength": 40}}
_CHECKPOINTS = {"type": "object", **_FILES, "additionalProperties": {"$ref": "#/$defs/checkpoint"}}
_MASKS = {"type": "object", **_FILES, "additionalProperties": {"$ref": "#/$defs/mask"}}
Part = dict[str, Any]


def _twelfth(task: Mapping[str, Any]) -> int:
    return max(1, task["steps"] // 12)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A network, a data set and a recipe."""

    base: str | None = key(None, "", "a task from which all is taken over that is not said anew")
    title: str | None = key(None, "", "how figures call it; nothing that is trained or measured depends on it", "its name")
    network: Annotated[Part, Named("networks", ("input_shape", "num_classes"))] = key(
        REQUIRED, "", "layers: `{name: mlp, widths: [300, 100]}`"
    )
    initialisation: Annotated[Part, Named("initialisers", ("network", "generator"))] = key(
        {"name": "kaiming_normal"}, "", "how weights are drawn; `batchnorm_scale`: uniform or one"
    )
    dataset: Annotated[Part, Named("datasets", ("data_root",))] = key(
        REQUIRED, "", "images: `{name: mnist}`; `num_train`: how many are trained on"
    )
    optimiser: Annotated[Part, Named("optimisers", ("vector",))] = key(
        REQUIRED, "", "steps: `{name: sgd, lr: 0.1, momentum: 0.9}`"
    )
    schedule: Annotated[Part, Named("schedules")] = key({"name": "constant"}, "", "of the learning rate, each with `warmup`")
    batch_size: Examples = key(REQUIRED, "images", "training images in a step")
    steps: Length = key(REQUIRED, "steps", "`62400`, `62400it`, or epochs of whole batches: `160ep`")
    pad: Annotated[int, In("[0, 1000]")] = key(0, "pixels", "zeros around images, out of which they are cropped at random")
    flip: bool = key(False, "", "mirror images at random")
    precision: Literal["fp32", "tf32", "bf16"] = key("fp32", "", "number format of training; a column of `runs`")
    channels_last: bool = key(False, "", "the memory layout that is faster for convolutions; a column of `runs`")
    evaluate_every: Length = key(_twelfth, "steps", "between points of the learning curve", "a twelfth of `steps`")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A network that was trained elsewhere.

    Args:
        task: the task that it is of.
    """

    task: Mapping[str, Any]
    file: str = key(REQUIRED, "", "its path, relative to this file: torch's, Lightning's or safetensors' state dict")
    of: str = key(REQUIRED, "", "the task whose network it is")
    step: Length = key(lambda e: e.task["steps"], "steps", "of the task at which it is; runs from it begin there", "the last")


@dataclass(frozen=True, kw_only=True)
class Mask:
    """A mask that was made elsewhere."""

    file: str = key(REQUIRED, "", "its path, relative to this file: by parameter, true or 1 where a weight is kept")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of tasks. All keys but the first three may be said of one task alone, under its name in `tasks`."""

    tasks: Annotated[Any, Shape("a list of names, or a mapping from names to what is different for them", _TASKS)] = key(
        REQUIRED, "", "in `config/tasks` or among the config's, as in `{resnet20: {sparse_level: 8}, vgg16: {levels: 22}}`"
    )
    figures: Annotated[tuple[str, ...], Items(1)] = key(None, "", "to draw; the plan makes only the runs that they need", "all")
    claims: Annotated[tuple[str, ...], Items()] = key((), "", "files of `config/claims` to judge: `A`, `B`, `C`")


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A config file."""

    experiments: Annotated[Any, Shape("a mapping from names to experiments", _EXPERIMENTS)] = key(
        REQUIRED, "", "[what is asked of tasks](#experiment), by names of lower-case letters, digits and underscores"
    )
    tasks: Annotated[Any, Shape("a mapping from names to tasks", _DESCRIPTIONS)] = key(
        {}, "", "[descriptions of tasks](#task) by name, laid over those in `config/tasks`", "none"
    )
    checkpoints: Annotated[Any, Shape("a mapping from names to files and what they are of", _CHECKPOINTS)] = key(
        {}, "", "[networks that were trained elsewhere](#checkpoint), by names ([how](own-checkpoints.md))", "none"
    )
    masks: Annotated[Any, Shape("a mapping from names to files", _MASKS)] = key(
        {}, "", "[masks that were made elsewhere](#mask), by names for starts: `k0 | mask(snip)`", "none"
    )
    only: Annotated[tuple[str, ...], Items(1)] = key(
        None, "", "the experiments that are asked for, as if there were no others; of one: `--experiment digits`", "all"
    )
    results: Annotated[str, Shape("a folder's path, in plain characters", _FOLDER)] = key("results", "", "folder of all results")
    data_root: Annotated[str | None, Shape("a folder's path", {"type": ["string", "null"]})] = key(
        None, "", "folder of the data sets", "`PIPELINE_DATA_ROOT`, else downloads"
    )
    per_job: PerJob = key({}, "", "replicates that one job trains ([why](architecture.md))")
    environment: Literal["record", "strict"] = key(
        "record", "", "whether versions and devices are only recorded, or part of keys"
    )
    keep: Literal["all", "measured"] = key(
        "all", "", "what stays on disk; `measured`: a run that ends well removes states and masks that all is measured of"
    )
    plugins: Annotated[tuple[str, ...], Items()] = key(
        (), "", "files, relative to this one, whose functions configs may name ([how](plugins.md)): `[my_lab/nets.py]`", "none"
    )
