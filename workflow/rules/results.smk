# The copies of tables and figures that users read. All are too short to wait in a queue.
#
# REQUIRES: the artifacts of tabulate, derive, judge and plot that the plan publishes.
# PRODUCES: results/<experiment>/<table>.parquet and results/<experiment>/figures/<figure>.{svg,png,pdf}, and .{csv,html,tex} of figures that are tables.


rule publish_table:
    """keyed table -> results/<experiment>/<table>.parquet"""
    input:
        source_of("{experiment}/{table}.parquet"),
    output:
        f"{RESULTS}/{{experiment}}/{{table}}.parquet",
    log:
        f"{RESULTS}/logs/publish/{{experiment}}-{{table}}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        key=key_of("{experiment}/{table}.parquet"),
    shell:
        "cp {input:q} {output:q} 2> {log:q}"


rule publish_figure:
    """keyed figure -> results/<experiment>/figures/<figure>.{svg,png,pdf}; the SVG is in the report"""
    input:
        svg=source_of("{experiment}/figures/{figure}.svg"),
        png=source_of("{experiment}/figures/{figure}.png"),
        pdf=source_of("{experiment}/figures/{figure}.pdf"),
    output:
        svg=report(
            f"{RESULTS}/{{experiment}}/figures/{{figure}}.svg",
            caption="../report/figure.rst",
            category="{experiment}",
            labels=label_of,
        ),
        png=f"{RESULTS}/{{experiment}}/figures/{{figure}}.png",
        pdf=f"{RESULTS}/{{experiment}}/figures/{{figure}}.pdf",
    log:
        f"{RESULTS}/logs/publish/{{experiment}}-{{figure}}.log",
    wildcard_constraints:
        figure="|".join(figure_needs.FIGURES),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        key=key_of("{experiment}/figures/{figure}.svg"),
        caption=lambda wildcards: figure_needs.FIGURES[wildcards.figure].caption,
    shell:
        "(cp {input.svg:q} {output.svg:q} && cp {input.png:q} {output.png:q} && cp {input.pdf:q} {output.pdf:q}) 2> {log:q}"


rule publish_as_table:
    """keyed figure that is a table -> results/<experiment>/figures/<figure>.{csv,html,tex}"""
    input:
        source_of("{experiment}/figures/{figure}.{suffix}"),
    output:
        f"{RESULTS}/{{experiment}}/figures/{{figure}}.{{suffix}}",
    log:
        f"{RESULTS}/logs/publish/{{experiment}}-{{figure}}-{{suffix}}.log",
    wildcard_constraints:
        figure="|".join(
            name for name, each in figure_needs.FIGURES.items() if each.as_table
        ),
        suffix="csv|html|tex",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        key=key_of("{experiment}/figures/{figure}.{suffix}"),
    shell:
        "cp {input:q} {output:q} 2> {log:q}"


rule unknown:
    """a name under the results folder that no other rule makes -> an error that lists those that are made"""
    input:
        source_of("{target}"),
    output:
        f"{RESULTS}/{{target}}",
    log:
        f"{RESULTS}/logs/publish/unknown-{{target}}.log",
    wildcard_constraints:
        target=rf"(?!artifacts/)(?![a-z0-9_]+/([a-z_]+[.]parquet|figures/({'|'.join(figure_needs.FIGURES)})[.](svg|png|pdf|csv|html|tex))$).+",
    localrule: True
    conda:
        ENVIRONMENT
    shell:
        "false"
