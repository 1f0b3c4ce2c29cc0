# Measurements on trained states.


rule interpolate:
    # pairs of states -> error along the line between them
    input:
        read_by("interpolate"),
    output:
        made_by("interpolate"),
    log:
        log_of("interpolate"),
    benchmark:
        benchmark_of("interpolate")
    conda:
        ENVIRONMENT
    shell:
        command("interpolate")


rule follow:
    # pairs of kept states -> instability throughout training
    input:
        read_by("follow"),
    output:
        made_by("follow"),
    log:
        log_of("follow"),
    benchmark:
        benchmark_of("follow")
    conda:
        ENVIRONMENT
    shell:
        command("follow")


rule layers:
    # pairs of states -> error while one block at a time moves
    input:
        read_by("layers"),
    output:
        made_by("layers"),
    log:
        log_of("layers"),
    benchmark:
        benchmark_of("layers")
    conda:
        ENVIRONMENT
    shell:
        command("layers")
