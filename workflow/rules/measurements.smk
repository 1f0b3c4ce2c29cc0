# Measurements on trained states.


# Compares weights: too short to wait in a queue.
localrules:
    signs,


rule interpolate:
    # pairs of states -> error along the line between them
    input:
        read_by("interpolate"),
    output:
        **made_by("interpolate"),
    log:
        log_of("interpolate"),
    benchmark:
        benchmark_of("interpolate")
    conda:
        ENVIRONMENT
    threads: threads_of("interpolate")
    shell:
        command("interpolate")


rule follow:
    # pairs of kept states -> instability throughout training
    input:
        read_by("follow"),
    output:
        **made_by("follow"),
    log:
        log_of("follow"),
    benchmark:
        benchmark_of("follow")
    conda:
        ENVIRONMENT
    threads: threads_of("follow")
    shell:
        command("follow")


rule layers:
    # pairs of states -> error while one block at a time moves
    input:
        read_by("layers"),
    output:
        **made_by("layers"),
    log:
        log_of("layers"),
    benchmark:
        benchmark_of("layers")
    conda:
        ENVIRONMENT
    threads: threads_of("layers")
    shell:
        command("layers")


rule telemetry:
    # W_0 -> what the first steps of training look like
    input:
        read_by("telemetry"),
    output:
        **made_by("telemetry"),
    log:
        log_of("telemetry"),
    benchmark:
        benchmark_of("telemetry")
    conda:
        ENVIRONMENT
    threads: threads_of("telemetry")
    shell:
        command("telemetry")


rule signs:
    # states and masks -> signs that differ between steps
    input:
        read_by("signs"),
    output:
        **made_by("signs"),
    log:
        log_of("signs"),
    benchmark:
        benchmark_of("signs")
    conda:
        ENVIRONMENT
    shell:
        command("signs")


rule hessian:
    # state -> spectrum of the Hessian of the training loss
    input:
        read_by("hessian"),
    output:
        **made_by("hessian"),
    log:
        log_of("hessian"),
    benchmark:
        benchmark_of("hessian")
    conda:
        ENVIRONMENT
    threads: threads_of("hessian")
    shell:
        command("hessian")
