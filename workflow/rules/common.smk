# The plan, and what every rule asks of it.
import re
import shlex

import pipeline_lib
from pipeline_lib.core import locations, processors, terminal
from pipeline_lib.experiments import figure_needs
from pipeline_lib.planning import adopted, declared, driver
from pipeline_lib.planning import closing, inventory, ledger, publication
from pipeline_lib.planning.written import groups
from pipeline_lib.store import lease, verification
from pipeline_lib.worker import start

ENVIRONMENT = str(ROOT / "environment.yml")
# The checkout, or where the package is installed.
PACKAGES = Path(pipeline_lib.__file__).parents[1]


def refused_by(check, *arguments, **named):
    """Call a check, and end with its error's words alone."""
    try:
        return check(*arguments, **named)
    except (ValueError, OSError) as error:
        raise WorkflowError(terminal.printable(str(error))) from None


if workflow.is_main_process:
    refused_by(locations.check_working_folder)


# In another's workflow, the config is what its `module` statement says, and no file of that workflow.
PLAN = refused_by(
    driver.planned,
    [] if MODULE else [Path(name) for name in workflow.configfiles],
    dict(config) if MODULE else workflow.config_settings.config,
    main=workflow.is_main_process,
)
RESULTS = str(PLAN.results)


def tell_of_leftover():
    """Say once that a results folder has artifacts with keys of an earlier kind."""
    files = shlex.join(map(str, workflow.configfiles))
    text = inventory.leftover(PLAN.results, f"rewind gc {files} --remove")
    if text:
        print(terminal.printable(text), file=sys.stderr)


if workflow.is_main_process:
    tell_of_leftover()


# A job runs in the interpreter that runs Snakemake, or in the one of its own environment where Snakemake makes one.
PYTHON = "python" if workflow.deployment_settings.deployment_method else sys.executable


wildcard_constraints:
    node=r"[A-Za-z0-9_-]+-[0-9a-f]{12}",
    experiment="[a-z0-9_]+",
    table="[a-z_]+",


# A submission that Slurm refuses for now is asked for again, instead of using up the job's attempts.
if workflow.is_main_process:
    driver.put_first_in_path(ROOT / "workflow" / "profiles" / "slurm" / "bin")


def made_by(stage):
    """Output files of a stage: what it is for, and the record of it."""
    folder = f"{RESULTS}/artifacts/{stage}/{{node}}"
    files = [f"{folder}/{name}" for name in declared.STAGES[stage].files]
    return {"files": files, "record": f"{folder}/{verification.RECORD}"}


def read_by(stage):
    """Input files of a node."""

    def files(wildcards):
        names = refused_by(PLAN.reads, f"{stage}/{wildcards.node}")
        return [f"{RESULTS}/{name}" for name in names]

    return files


# Of a job that decodes images; one with a GPU needs several to keep it busy. Other jobs use one. `set-threads` says otherwise.
DECODING_THREADS = 8


def threads_of(stage):
    """Threads of a node. Snakemake gives no more than there are cores."""

    def threads(wildcards):
        decodes = refused_by(PLAN.decodes, f"{stage}/{wildcards.node}")
        return DECODING_THREADS if decodes else 1

    return threads if PLAN.in_files else 1


def asked_by(stage):
    """Resources that a first attempt of a stage's jobs asks a queue for; further attempts ask for as many times more."""
    names = {"minutes": "runtime", "megabytes": "mem_mb"}

    def growing(amount):
        return lambda wildcards, attempt: amount * attempt

    return {
        names[key]: growing(amount) for key, amount in (stage.cluster or {}).items()
    }


def quoted(path):
    """Word of a shell line that Snakemake formats before it is run."""
    return shlex.quote(str(path)).replace("{", "{{").replace("}", "}}")


def together():
    """How many ready jobs that train may share a process and, on a cluster, a job of its queue.

    Snakemake's own option says it (`group-components: [train=9]`), and the environment to a Snakemake inside a job.
    """
    asked = workflow.group_settings.group_components.get("train", 1)
    return asked if workflow.is_main_process else int(os.environ.get(start.TOGETHER, 1))


def group_of(stage):
    """Group of jobs of a stage on a cluster: those that train one task, of which none waits for another."""

    def group(wildcards):
        number = together()
        if number == 1:
            return None
        # A Snakemake inside a job is not told how large groups are, and would do their jobs one after the other.
        workflow.group_settings.group_components = {stage: number}
        name = refused_by(groups.name, PLAN, f"{stage}/{wildcards.node}")
        workflow.parent_groupids[name] = stage
        return name

    return group if stage == "train" else None


def command():
    """Shell line of a stage. Its folder is where Snakemake wants the outputs, with the inputs beside it; it says the stage, too.

    The line is made when a job runs, not when its rule is defined, so it cannot depend on a loop's variable.
    Descriptor 3 stays on the terminal, for what cannot be written into the log.
    """
    folder = 'folder="$(dirname {output.record:q})"; stage="$(basename "$(dirname "$folder")")"'
    run = f'{quoted(PYTHON)} -m pipeline_lib "$stage" "$folder" --plan {quoted(PLAN.path)}'
    return f"{folder}; PYTHONPATH={quoted(PACKAGES)} {processors.VARIABLE}={{threads}} {run} 3>&2 > {{log:q}} 2>&1"


def log_of(stage):
    """Log file of a job."""
    return f"{RESULTS}/logs/{stage}/{{node}}.log"


def benchmark_of(stage):
    """Benchmark record of a job."""
    return f"{RESULTS}/benchmarks/{stage}/{{node}}.tsv"


def source_of(pattern):
    """Keyed file that a published one is a copy of; a copy of another is made again, whatever Snakemake remembers of it."""

    def file(wildcards):
        name = pattern.format(**wildcards)
        if name not in PLAN.published:
            raise WorkflowError(str(publication.unknown(PLAN, name)))
        if workflow.is_main_process and publication.is_of_another(PLAN, name):
            workflow.dag.forcefiles.add(f"{RESULTS}/{name}")
        return f"{RESULTS}/{PLAN.published[name]}"

    return file


def key_of(pattern):
    """Key of the artifact that a published file is a copy of: when it changes, the copy is made again."""

    def key(wildcards):
        folder = Path(PLAN.published[pattern.format(**wildcards)]).parent.name
        return folder.rpartition("-")[2]

    return key


def label_of(wildcards):
    """Label of a figure in Snakemake's report, which sorts by it: its place in the config comes first."""
    folder = f"{wildcards.experiment}/figures/"
    names = [
        name
        for name in PLAN.published
        if name.startswith(folder) and name.endswith(".svg")
    ]
    place = names.index(f"{folder}{wildcards.figure}.svg") + 1
    return {"figure": f"{place:02} {wildcards.figure}"}


def check_request():
    """Refuse a report on what is outdated: for reports, Snakemake runs nothing. Tell it what other code made."""
    if any(re.match(r"--report(=|$)", word) for word in sys.argv[1:]):
        refused_by(publication.check_current, PLAN)
        keys = PLAN.adopted.values()
        config["kept"] = refused_by(adopted.report, PLAN.results, keys)


check_request()


def do_not_spin():
    """Take away Snakemake's limit on jobs a second, unless a user set one.

    With a limit, Snakemake 9 looks at all ready jobs again each second, and once more often after every job that ends: after
    two hundred that takes a third of a core.
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


WORKERS = []  # of this run: one, or none


def gather():
    """Let jobs that may share a process find each other; on a cluster those of a group, which stand and fall together."""
    if workflow.is_main_process:
        os.environ[start.TOGETHER] = str(together())
    elif os.environ.get(start.TOGETHER, "1") != "1" and not any(
        word.startswith("--executor") for word in sys.argv
    ):
        os.environ[start.ALL_OR_NONE] = "yes"
        start.start(PLAN.results, start.FROM, start.TRAINING)


def begin():
    """Take hold of the results folder, and remove what would pass for this run's results."""
    refused_by(lease.Lease, PLAN.results, ROOT)
    do_not_spin()
    gather()
    PLAN.mark_begun()
    for name in publication.remove_outdated(PLAN, up_to_date()):
        print(
            terminal.printable(
                f"removed outdated {RESULTS}/{name}; its artifact is kept"
            ),
            file=sys.stderr,
        )
    if workflow.local_exec and not workflow.deployment_settings.deployment_method:
        num_jobs = sum(1 for _ in workflow.dag.needrun_jobs())
        WORKERS.append(start.start(PLAN.results, num_jobs))


def finish():
    """End the worker, write the index, and say which tables mix environments, what was found and where it is."""
    stop_workers()
    driver.write_index(PLAN.results)
    told = ledger.mixtures(PLAN.results, PLAN.published)
    told += closing.lines(PLAN.results, PLAN.published)
    for line in [*told, *refused_by(driver.let_go, PLAN)]:
        print(terminal.printable(line), file=sys.stderr)


def fail():
    """End the worker, and write the index of what there is: a failed job leaves the others' artifacts."""
    stop_workers()
    driver.write_index(PLAN.results)


def stop_workers():
    """End the worker of this run, after its jobs."""
    while WORKERS:
        start.stop(WORKERS.pop())


def up_to_date():
    """Outputs of the jobs that need not run; asked for when the run starts."""
    dag = workflow.dag
    return {
        str(file) for job in dag.jobs if not dag.needrun(job) for file in job.output
    }


if not workflow.is_main_process:
    gather()
