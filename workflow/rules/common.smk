# The plan, and what every rule asks of it.
import shlex

from pipeline_lib import config as settings, demands, driver, nodes, plan as planning

ENVIRONMENT = str(ROOT / "environment.yml")
CONFIG_FILES = [Path(name) for name in workflow.configfiles]
try:
    PLAN = planning.make_plan(settings.resolve(config))
    RESULTS = str(PLAN.config.results)
    PUBLISHED = driver.published(PLAN)
    if driver.PLAN_ID not in os.environ:
        driver.check_published(PLAN)
    if os.environ.setdefault(driver.PLAN_ID, PLAN.identity()) != PLAN.identity():
        raise ValueError(
            "config and code must stay as they were planned during a run, got a changed plan; start the run again"
        )
    PLAN_FILE = str(driver.write_plan(PLAN, CONFIG_FILES))
except ValueError as error:
    raise WorkflowError(str(error)) from None


# A job runs in the interpreter that runs Snakemake, or in the one of its own environment where Snakemake makes one.
PYTHON = "python" if workflow.deployment_settings.deployment_method else sys.executable


wildcard_constraints:
    node=r"[A-Za-z0-9_-]+-[0-9a-f]{12}",
    experiment="[a-z0-9_]+",
    table="[a-z]+",


def made_by(stage):
    """Output files of a stage."""
    return [
        f"{RESULTS}/artifacts/{stage}/{{node}}/{name}" for name in nodes.OUTPUTS[stage]
    ]


def read_by(stage):
    """Input files of a node: the first file of each parent, all files where a table is put together."""

    def files(wildcards):
        node = PLAN.by_folder.get(f"{stage}/{wildcards.node}")
        if node is None:
            raise WorkflowError(
                f"node must be part of the plan, got {wildcards.node}; ask for it with its own config"
            )
        parents = [parent for nodes in PLAN.parents(node).values() for parent in nodes]
        return [f"{RESULTS}/{parent.files()[0]}" for parent in parents]

    return files


def quoted(path):
    """Word of a shell line that Snakemake formats before it is run."""
    return shlex.quote(str(path)).replace("{", "{{").replace("}", "}}")


def command(stage):
    """Shell line of a stage; a node's name has no characters that a shell would read into it."""
    folder = f"{quoted(RESULTS)}/artifacts/{stage}/{{wildcards.node}}"
    run = (
        f"{quoted(PYTHON)} -m pipeline_lib {stage} {folder} --plan {quoted(PLAN_FILE)}"
    )
    return f"PYTHONPATH={quoted(ROOT)} {run} > {{log:q}} 2>&1"


def log_of(stage):
    """Log file of a job."""
    return f"{RESULTS}/logs/{stage}/{{node}}.log"


def benchmark_of(stage):
    """Benchmark record of a job."""
    return f"{RESULTS}/benchmarks/{stage}/{{node}}.tsv"


def source_of(pattern):
    """Keyed file that a published one is a copy of."""

    def file(wildcards):
        name = pattern.format(**wildcards)
        if name not in PUBLISHED:
            raise WorkflowError(
                f"target must be one of {', '.join(PUBLISHED)}, got {name}; choose one"
            )
        node, made = PUBLISHED[name]
        return f"{RESULTS}/{node.folder}/{made}"

    return file


def key_of(pattern):
    """Key of the node that a published file is a copy of: when it changes, the copy is made again."""
    return lambda wildcards: PUBLISHED[pattern.format(**wildcards)][0].key


def up_to_date():
    """Outputs of the jobs that need not run; asked for when the run starts."""
    dag = workflow.dag
    return {
        str(file) for job in dag.jobs if not dag.needrun(job) for file in job.output
    }
