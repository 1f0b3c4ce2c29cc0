"""The stages that plans make nodes of. A plan imports none of them: it has their names, and a type checker their modules.

So `spec: stages.prune.Spec = {...}` and `plan.add(stages.prune, label, spec, parents)` are held to what the stage declares.
"""

# ruff: noqa: PLC0414 - an alias of its own name says that modules may have it from here

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

SpecT = TypeVar("SpecT", bound=Mapping[str, Any])

if TYPE_CHECKING:
    from pipeline_lib.stages.landscape import align as align
    from pipeline_lib.stages.landscape import class_means as class_means
    from pipeline_lib.stages.landscape import connect as connect
    from pipeline_lib.stages.landscape import cut as cut
    from pipeline_lib.stages.landscape import follow as follow
    from pipeline_lib.stages.landscape import hessian as hessian
    from pipeline_lib.stages.landscape import interpolate as interpolate
    from pipeline_lib.stages.landscape import layers as layers
    from pipeline_lib.stages.landscape import radii as radii
    from pipeline_lib.stages.landscape import slice as slice
    from pipeline_lib.stages.landscape import triangle as triangle
    from pipeline_lib.stages.masks import adapt as adapt
    from pipeline_lib.stages.masks import bring_mask as bring_mask
    from pipeline_lib.stages.masks import prune as prune
    from pipeline_lib.stages.masks import score as score
    from pipeline_lib.stages.measurements import describe as describe
    from pipeline_lib.stages.measurements import signs as signs
    from pipeline_lib.stages.measurements import telemetry as telemetry
    from pipeline_lib.stages.measurements import validation as validation
    from pipeline_lib.stages.results import derive as derive
    from pipeline_lib.stages.results import judge as judge
    from pipeline_lib.stages.results import plot as plot
    from pipeline_lib.stages.results import tabulate as tabulate
    from pipeline_lib.stages.states import bring as bring
    from pipeline_lib.stages.states import perturb as perturb
    from pipeline_lib.stages.states import prepare as prepare
    from pipeline_lib.stages.states import pretrain as pretrain
    from pipeline_lib.stages.states import rewind as rewind
    from pipeline_lib.stages.states import teach as teach
    from pipeline_lib.stages.states import trace as trace
    from pipeline_lib.stages.states import train as train

    class Named(Protocol[SpecT]):
        """A stage's module, which declares what its spec is."""

        Spec: type[SpecT]

else:
    from pipeline_lib.planning.declared import STAGES

    class Named(str, Generic[SpecT]):
        """A stage's name."""

    globals().update({name: Named(name) for name in STAGES})
