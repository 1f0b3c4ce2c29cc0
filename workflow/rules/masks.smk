# Masks, and starts made with them. All but score and adapt are short and need no torch: on a cluster they run beside the driver.


localrules:
    prune,
    rewind,
    perturb,


rule score:
    # state + mask -> derivatives by weight, which a criterion looks at
    input:
        read_by("score"),
    output:
        **made_by("score"),
    log:
        log_of("score"),
    benchmark:
        benchmark_of("score")
    conda:
        ENVIRONMENT
    threads: threads_of("score")
    shell:
        command("score")


rule prune:
    # trained state + mask + what its criterion looks at -> next mask
    input:
        read_by("prune"),
    output:
        **made_by("prune"),
    log:
        log_of("prune"),
    benchmark:
        benchmark_of("prune")
    conda:
        ENVIRONMENT
    shell:
        command("prune")


rule rewind:
    # state + mask -> masked start
    input:
        read_by("rewind"),
    output:
        **made_by("rewind"),
    log:
        log_of("rewind"),
    benchmark:
        benchmark_of("rewind")
    conda:
        ENVIRONMENT
    shell:
        command("rewind")


rule perturb:
    # masked start -> perturbed start, and the size of the change
    input:
        read_by("perturb"),
    output:
        **made_by("perturb"),
    log:
        log_of("perturb"),
    benchmark:
        benchmark_of("perturb")
    conda:
        ENVIRONMENT
    shell:
        command("perturb")


rule adapt:
    # solution + mask -> next mask, as sparse as the training loss allows
    input:
        read_by("adapt"),
    output:
        **made_by("adapt"),
    log:
        log_of("adapt"),
    benchmark:
        benchmark_of("adapt")
    conda:
        ENVIRONMENT
    threads: threads_of("adapt")
    shell:
        command("adapt")
