"""The stages that plans make nodes of. A plan imports none of them: it has their names, and a type checker their modules.

So `spec: stages.prune.Spec = {...}` and `plan.add(stages.prune, label, spec, parents)` are held to what the stage declares.
"""

# ruff: noqa: PLC0414 - an alias of its own name says that modules may have it from here

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

SpecT = TypeVar("SpecT", bound=Mapping[str, Any])

if TYPE_CHECKING:
    from pipeline_lib.stages import adapt as adapt
    from pipeline_lib.stages import align as align
    from pipeline_lib.stages import class_means as class_means
    from pipeline_lib.stages import connect as connect
    from pipeline_lib.stages import cut as cut
    from pipeline_lib.stages import derive as derive
    from pipeline_lib.stages import describe as describe
    from pipeline_lib.stages import follow as follow
    from pipeline_lib.stages import hessian as hessian
    from pipeline_lib.stages import interpolate as interpolate
    from pipeline_lib.stages import judge as judge
    from pipeline_lib.stages import layers as layers
    from pipeline_lib.stages import perturb as perturb
    from pipeline_lib.stages import plot as plot
    from pipeline_lib.stages import prepare as prepare
    from pipeline_lib.stages import pretrain as pretrain
    from pipeline_lib.stages import prune as prune
    from pipeline_lib.stages import radii as radii
    from pipeline_lib.stages import rewind as rewind
    from pipeline_lib.stages import score as score
    from pipeline_lib.stages import signs as signs
    from pipeline_lib.stages import slice as slice
    from pipeline_lib.stages import tabulate as tabulate
    from pipeline_lib.stages import teach as teach
    from pipeline_lib.stages import telemetry as telemetry
    from pipeline_lib.stages import trace as trace
    from pipeline_lib.stages import train as train
    from pipeline_lib.stages import validation as validation

    class Named(Protocol[SpecT]):
        """A stage's module, which declares what its spec is."""

        Spec: type[SpecT]

else:
    from pipeline_lib.planning.declared import STAGES

    class Named(str, Generic[SpecT]):
        """A stage's name."""

    globals().update({name: Named(name) for name in STAGES})
