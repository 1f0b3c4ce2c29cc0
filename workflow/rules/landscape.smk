# Measurements of the landscape around the solutions of a ladder.


# Need no torch, and are short.
localrules:
    describe,
    wells,


rule connect:
    # solutions, projections -> error along the lines between them
    input:
        read_by("connect"),
    output:
        **made_by("connect"),
    log:
        log_of("connect"),
    benchmark:
        benchmark_of("connect")
    conda:
        ENVIRONMENT
    threads: threads_of("connect")
    shell:
        command("connect")


rule slice:
    # three states -> error on the plane through them
    input:
        read_by("slice"),
    output:
        **made_by("slice"),
    log:
        log_of("slice"),
    benchmark:
        benchmark_of("slice")
    conda:
        ENVIRONMENT
    threads: threads_of("slice")
    shell:
        command("slice")


rule cut:
    # solution -> error of what is left when weights are pruned
    input:
        read_by("cut"),
    output:
        **made_by("cut"),
    log:
        log_of("cut"),
    benchmark:
        benchmark_of("cut")
    conda:
        ENVIRONMENT
    threads: threads_of("cut")
    shell:
        command("cut")


rule describe:
    # states, masks -> magnitudes of weights, distances between states
    input:
        read_by("describe"),
    output:
        **made_by("describe"),
    log:
        log_of("describe"),
    benchmark:
        benchmark_of("describe")
    conda:
        ENVIRONMENT
    shell:
        command("describe")


rule wells:
    # planted quadratic wells -> how often random subspaces meet their sublevel sets
    input:
        read_by("wells"),
    output:
        **made_by("wells"),
    log:
        log_of("wells"),
    benchmark:
        benchmark_of("wells")
    conda:
        ENVIRONMENT
    shell:
        command("wells")
