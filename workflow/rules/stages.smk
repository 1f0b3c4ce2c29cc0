# One rule a stage, named like it. What it needs and makes, in words, is its docstring (`snakemake --list-rules`).
#
# REQUIRES: the plan, which says for every artifact what it is made from.
# PRODUCES: results/artifacts/<stage>/<label>-<key>/, with the files that the stage's file in pipeline_lib/stages declares.


for stage in declared.STAGES.values():

    rule:
        name:
            stage.name
        input:
            read_by(stage.name),
        output:
            **made_by(stage.name),
        log:
            log_of(stage.name),
        benchmark:
            benchmark_of(stage.name)
        group:
            group_of(stage.name)
        localrule: not stage.cluster
        conda:
            ENVIRONMENT
        threads: threads_of(stage.name)
        resources:
            **asked_by(stage),
        shell:
            command()

    if hasattr(rules, stage.name):  # unless another workflow uses only some
        getattr(rules, stage.name).rule.docstring = (
            f"{stage.needs} -> {stage.makes}"
        )
