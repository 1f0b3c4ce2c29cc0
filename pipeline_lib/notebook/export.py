"""One network as files that stand for themselves: for `load_state_dict`, for others' tools, and for a model hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml

from pipeline_lib.core import files, registry
from pipeline_lib.pruning import masks
from pipeline_lib.stages.support.stored import Member, Stored

_CARD = """
# {title}

{about}

```python
from safetensors.torch import load_file
from {module} import {name}

network = {name}({arguments})
network.load_state_dict(load_file("model.safetensors"), strict=True)
network.eval()
```

It takes inputs of shape {shape}, normalised by channel as `(x / 255 - mean) / std` with mean {mean} and std {std}.
`mask.safetensors` says of each prunable weight whether it was kept; weights that were not are zero.
`config.json` has all of this, and the recipe by which it was trained, for programs.

## Where it comes from

Artifact `{folder}` of stage {stage}, made in {made_in}, by way of:

{lineage}
"""


def _facts(member: Member, density: float, step: int) -> dict[str, Any]:
    """Tell programs how to rebuild a network, and what it is."""
    home = member.home
    entry = registry.entries("networks")[home.task["network"]["name"]]
    arguments = {"input_shape": home.inputs.shape, "num_classes": home.inputs.num_classes}
    arguments |= {name: value for name, value in home.task["network"].items() if name != "name"}
    facts = {"module": entry.module, "name": entry.name, "arguments": arguments}
    about = {**member.who, "step": step, "density": density, "test_error": member.test_error}
    normalisation = {"mean": home.inputs.mean, "std": home.inputs.std}
    return {"network": facts, "normalisation": normalisation, **about, "task": home.task, "spec": home.record["spec"]}


def _card(member: Member, facts: dict[str, Any]) -> str:
    """Write the card: a head in YAML, for a hub, then words."""
    home, network, task = member.home, facts["network"], facts["task"]
    head = {"library_name": "pytorch", "tags": ["rewind", task["name"], network["name"]], "datasets": [task["dataset"]["name"]]}
    order = "" if facts["order"] is None else f" under order {facts['order']} of SGD noise"
    error = "" if facts["test_error"] is None else f"; test error {facts['test_error']:.4f}"
    about = f"Step {facts['step']} of task {task['name']} from seed {facts['seed']}{order}; "
    about += f"{facts['density']:.4g} of its prunable weights are kept{error}."
    lineage = [f"- {each.record['stage']} `{each.folder.name}`" for each in list(home.lineage())[1:]]
    words = _CARD.format(
        title=f"{network['name']} of task {task['name']}",
        about=about,
        module=network["module"],
        name=network["name"],
        arguments=", ".join(f"{name}={value!r}" for name, value in network["arguments"].items()),
        shape=home.inputs.shape,
        **facts["normalisation"],
        folder=home.folder.name,
        stage=home.record["stage"],
        made_in="; ".join(sorted(home.record["made_in"])),
        lineage="\n".join(lineage) or "- nothing",
    )
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n{words}"


def _write(path: Path, write: Callable[[Path], None]) -> Path:
    files.write_atomic(path, write)
    return path


def export(results: str | Path, key: str, member: int | None, to: str | Path) -> list[Path]:
    """Write one network into a folder of its own: weights, mask, how to rebuild it, and a card.

    Args:
        results: the results folder, which holds `artifacts`.
        key: of the artifact that has the network; the first digits are enough if no other begins so.
        member: its number there, from 0; None if it is the only one.
        to: the folder, which is made if there is none; files of these names in it are replaced.

    Returns:
        `model.safetensors` (a plain state dict), `mask.safetensors`, `config.json` and `README.md`.

    Raises:
        ValueError: no such artifact or member, or one that is no network.

    Example:
        >>> export(Path("."), "546a", None, Path("mine"))
        Traceback (most recent call last):
        ValueError: key must be that of one artifact in artifacts, got '546a' of 0; check the folder, or run the experiment again
    """
    from safetensors.torch import save_file

    home, to = Stored(Path(results), key), Path(to)
    num = len(home.members)
    if (member is None and num > 1) or not 0 <= (member or 0) < num:
        raise ValueError(f"member must be one of {home.folder.name} ({home.listed()}), got {member}; name one by its number")
    one = Member(home, member or 0)
    network, mask, step = one.network(), one.mask(), one.state().step
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    kept = {name: torch.from_numpy(keep).contiguous() for name, keep in mask.items()}
    facts = _facts(one, masks.density(mask), step)
    card, config = _card(one, facts), json.dumps(facts, indent=1) + "\n"
    return [
        _write(to / "model.safetensors", lambda path: save_file(tensors, path, {"format": "pt"})),
        _write(to / "mask.safetensors", lambda path: save_file(kept, path, {"format": "pt"})),
        _write(to / "config.json", lambda path: _text(path, config)),
        _write(to / "README.md", lambda path: _text(path, card)),
    ]


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
