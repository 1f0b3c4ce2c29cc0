# States: data sets, early states, starts and trained networks.


# Compute nodes often have no way to download; and it is short.
localrules:
    prepare,


rule prepare:
    # data set -> uint8 tensors
    input:
        read_by("prepare"),
    output:
        **made_by("prepare"),
    log:
        log_of("prepare"),
    benchmark:
        benchmark_of("prepare")
    conda:
        ENVIRONMENT
    threads: threads_of("prepare")
    shell:
        command("prepare")


rule pretrain:
    # W_0 -> W_k
    input:
        read_by("pretrain"),
    output:
        **made_by("pretrain"),
    log:
        log_of("pretrain"),
    benchmark:
        benchmark_of("pretrain")
    conda:
        ENVIRONMENT
    threads: threads_of("pretrain")
    shell:
        command("pretrain")


rule teach:
    # state -> state after training on altered data
    input:
        read_by("teach"),
    output:
        **made_by("teach"),
    log:
        log_of("teach"),
    benchmark:
        benchmark_of("teach")
    conda:
        ENVIRONMENT
    threads: threads_of("teach")
    shell:
        command("teach")


rule train:
    # start + mask + order -> trained state, errors, learning curve
    input:
        read_by("train"),
    output:
        **made_by("train"),
    log:
        log_of("train"),
    benchmark:
        benchmark_of("train")
    conda:
        ENVIRONMENT
    threads: threads_of("train")
    shell:
        command("train")


rule trace:
    # as train, and keeps states throughout training
    input:
        read_by("trace"),
    output:
        **made_by("trace"),
    log:
        log_of("trace"),
    benchmark:
        benchmark_of("trace")
    conda:
        ENVIRONMENT
    threads: threads_of("trace")
    shell:
        command("trace")
