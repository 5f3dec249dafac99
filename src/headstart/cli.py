"""The command line. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import time

_STARTED = time.monotonic()  # the budget's clock starts with the process

import contextlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import sys  # noqa: E402
from typing import Annotated, Any  # noqa: E402

import typer  # noqa: E402

from headstart.errors import HeadstartError, UsageError  # noqa: E402
from headstart.wording import counted, spoken  # noqa: E402

INTERRUPTED = 130

app = typer.Typer(
    help="Transfer learning that practitioners can trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
sources_app = typer.Typer(help="The pre-trained models to start from.", no_args_is_help=True)
cache_app = typer.Typer(help="What frozen layers computed, kept on disk.", no_args_is_help=True)
app.add_typer(sources_app, name="sources")
app.add_typer(cache_app, name="cache")

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Beams = Annotated[
    int,
    typer.Option(metavar="N", help="Beginnings that are followed in writing a text (Whisper)."),
]
JsonLines = Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")]
Input = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="COL", help="Column of the input; may be repeated."),
]
Label = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="COL", help="Column of the label; may be repeated."),
]
Subgroup = Annotated[
    str | None,
    typer.Option("--subgroup", metavar="COL", help="Scores for each of its values."),
]
Group = Annotated[
    str | None,
    typer.Option("--group", metavar="COL", help="Rows of one group stay on one side of a split."),
]
Target = Annotated[str, typer.Argument(metavar="DATA", help="Folder, table, or data set.")]
OneSource = Annotated[
    str | None, typer.Option(metavar="ID", help="The catalogue's default if not given.")
]
Task = Annotated[str | None, typer.Option(help="Such as text-regression; inferred if not given.")]
Test = Annotated[str | None, typer.Option(metavar="DATA", help="Your own test rows.")]
Seed = Annotated[int, typer.Option(help="Seed of every random choice.")]


def _say_version(wanted: bool) -> None:
    if wanted:
        from headstart import __version__

        print(f"headstart {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version."),
    ] = False,
) -> None:
    """Take what stands before any command."""


def main() -> None:
    """Run the command line; deliberate errors become one message and an exit status."""
    try:
        status = app(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except HeadstartError as error:
        _complain(str(error))
        sys.exit(error.exit_status)
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        _complain("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        show = getattr(error, "show", None)  # a usage error of the command line itself
        if show is None:
            raise
        show()
        sys.exit(getattr(error, "exit_code", 2))


def _complain(message: str) -> None:
    print(f"headstart: {message}", file=sys.stderr)


@app.command()
def fit(
    data: Target,
    input: Input = None,
    label: Label = None,
    task: Task = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="What is optimised and compared, such as macro_f1; the task's own if not given."
        ),
    ] = None,
    group: Group = None,
    subgroup: Subgroup = None,
    time_: Annotated[
        str | None,
        typer.Option("--time", metavar="COL", help="Learn from older rows, test on newer ones."),
    ] = None,
    class_weights: Annotated[
        str | None,
        typer.Option(metavar="balanced", help="Let rare classes count as much as frequent ones."),
    ] = None,
    test: Test = None,
    source: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Source to try; may be repeated.")
    ] = None,
    budget: Annotated[str, typer.Option(help="Time for everything, such as 60s or 5m.")] = "5m",
    max_trials: Annotated[int | None, typer.Option(metavar="N", help="At most N trials.")] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Way to carry knowledge over; may be repeated."),
    ] = None,
    quality: Annotated[
        str, typer.Option(help="Which recipes are tried: fast, balanced or best.")
    ] = "balanced",
    seed: Seed = 0,
    out: Annotated[
        str | None, typer.Option(metavar="RUN", help="Run folder; runs/NAME if not given.")
    ] = None,
    no_refit: Annotated[
        bool, typer.Option("--no-refit", help="Keep the model that was evaluated.")
    ] = False,
    json_: Json = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in RUN.")] = False,
    long: Annotated[
        str,
        typer.Option(
            metavar="MODE",
            help="How inputs longer than a source's window are read: truncate, head-tail (texts) "
            "or chunks.",
        ),
    ] = "truncate",
    evaluation: Annotated[
        str,
        typer.Option(
            metavar="METHOD",
            help="How models are judged: auto, holdout, or nested-cv (each row held out in turn; "
            "for few rows).",
        ),
    ] = "auto",
    track: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where else to follow it: tensorboard.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="cpu, cuda, or auto: a GPU where there is one.")
    ] = "auto",
) -> None:
    """Fit a model to labelled data, and say whether its head start helped."""
    from headstart.search.budget import Clock, Stopped, parse_budget, stoppable, too_short

    clock = Clock(parse_budget(budget), _STARTED)
    try:
        with stoppable(clock):
            from headstart import api
        study = api.fit(
            data,
            input=input,
            label=label,
            task=task,
            metric=metric,
            group=group,
            subgroup=subgroup,
            time=time_,
            class_weights=class_weights,
            test=test,
            source=tuple(source or ()),
            budget=budget,
            max_trials=max_trials,
            recipe=recipe or (),
            quality=quality,
            track=track,
            seed=seed,
            out=out,
            refit=not no_refit,
            resume=resume,
            long=long,
            evaluation=evaluation,
            device=device,
            quiet=False,
            clock=clock,
        )
    except Stopped as stop:
        if stop.status == "budget":
            raise too_short(clock.budget) from None
        _complain("interrupted before any model was usable")
        raise typer.Exit(INTERRUPTED) from None
    if json_:
        print(json.dumps(study.result, ensure_ascii=False))
    else:
        print(study)
    if study.result["status"] == "interrupted":
        raise typer.Exit(INTERRUPTED)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Artifact or run folder.")],
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Files, folders, tables.")
    ],
    input: Input = None,
    json_: JsonLines = False,
    csv_: Annotated[
        bool, typer.Option("--csv", help="Print a CSV table; of a table, with columns added.")
    ] = False,
    srt: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Write subtitles of each recording into a folder."),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(
            metavar="P", help="Say which answers are sure enough for P of them to be right."
        ),
    ] = None,
    beams: Beams = 1,
) -> None:
    """Predict files, all files in folders, or the rows of tables; answers come at once."""
    from headstart.artifact.predictor import Predictor
    from headstart.report.answers import Counted, write_csv, write_json, write_subtitles, write_text

    if sum((srt is not None, csv_, json_)) > 1:
        raise UsageError("--json, --csv and --srt are three ways to answer: choose one")
    counted = Counted(
        Predictor.load(model, beams).stream(inputs, tuple(input or ()), precision), _complain
    )
    if srt is not None:
        write_subtitles(counted, srt)
    elif csv_:
        write_csv(counted, sys.stdout, alone=len(inputs) == 1)
    elif json_:
        write_json(counted, sys.stdout)
    else:
        write_text(counted, sys.stdout)
    counted.close()


@app.command()
def distil(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Artifact or run folder.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Rows; they need no labels.")],
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder for the small model.")],
    input: Input = None,
    label: Label = None,
    budget: Annotated[str, typer.Option(help="Time for everything, such as 60s or 5m.")] = "5m",
    seed: Seed = 0,
    json_: Json = False,
) -> None:
    """Teach a small, fast model to answer as a fitted one does."""
    from headstart import distilling

    found = distilling.distil(
        model,
        data,
        out=out,
        input=input,
        label=label,
        budget=budget,
        seed=seed,
        say=_complain,
    )
    for aside in found.set_aside:
        _complain(f"set aside: {aside.where}: {aside.reason}")
    print(json.dumps(found.data(), ensure_ascii=False) if json_ else found)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Artifact or run folder.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled rows.")],
    input: Input = None,
    label: Label = None,
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="COL", help="Intervals count rows of one group as one."),
    ] = None,
    subgroup: Subgroup = None,
    beams: Beams = 1,
    json_: Json = False,
) -> None:
    """Score a saved model on labelled rows, with intervals."""
    from headstart.artifact.predictor import Predictor
    from headstart.data.columns import Roles
    from headstart.evidence.intervals import figure
    from headstart.report.summary import subgroup_lines

    roles = Roles.of(input, label, group=group, subgroup=subgroup)
    scores = Predictor.load(model, beams).evaluate(data, roles)
    for aside in scores.set_aside:
        _complain(f"set aside: {aside.where}: {aside.reason}")
    if json_:
        print(json.dumps(scores.data()))
        return
    print(counted(scores.rows, "row"))
    for name, score in scores.scores.items():
        low, high = figure(score["low"]), figure(score["high"])
        print(f"{name:20} {figure(score['value'])} [{low}, {high}]")
    for line in subgroup_lines(scores.subgroups, spoken(scores.metric)):
        print(line)


@app.command()
def audit(
    data: Target,
    input: Input = None,
    label: Label = None,
    group: Group = None,
    task: Task = None,
    test: Test = None,
    source: OneSource = None,
    seed: Seed = 0,
    json_: Json = False,
) -> None:
    """Find what is wrong with labelled data: duplicates, leaks, wrong labels, and more."""
    from headstart import auditing

    found = auditing.audit(
        data,
        input=input,
        label=label,
        group=group,
        task=task,
        test=test,
        source=source,
        seed=seed,
    )
    for aside in found.dataset.set_aside:
        _complain(f"set aside: {aside.where}: {aside.reason}")
    print(json.dumps(found.data(), ensure_ascii=False) if json_ else found)


@app.command()
def rank(
    data: Target,
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID", help="Source to rank; may be repeated. All that are here if not."
        ),
    ] = None,
    input: Input = None,
    label: Label = None,
    group: Group = None,
    task: Task = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="By which a probe is scored, such as macro_f1; the task's own if not given."
        ),
    ] = None,
    rows: Annotated[int, typer.Option(metavar="N", help="Look at N rows at most.")] = 1000,
    seed: Seed = 0,
    json_: Json = False,
) -> None:
    """Rank pre-trained models by how well they suit labelled data; nothing is trained but heads."""
    from headstart import ranking

    found = ranking.rank(
        data,
        source=tuple(source or ()),
        input=input,
        label=label,
        group=group,
        task=task,
        metric=metric,
        rows=rows,
        seed=seed,
        say=_complain,
    )
    print(json.dumps(found.data(), ensure_ascii=False) if json_ else found)


@app.command()
def embed(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Folder of files, or a table.")],
    out: Annotated[
        str, typer.Option(metavar="FILE", help="Ends in .npz, .parquet, .csv or .safetensors.")
    ],
    source: OneSource = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="The middle stages too, before the last features.")
    ] = False,
    input: Input = None,
    label: Label = None,
    json_: Json = False,
) -> None:
    """Write the features of a source for every row, labelled or not."""
    from pathlib import Path

    from headstart.data.writing import writer_for

    writer_for(Path(out))  # a name that says nothing is refused before anything is computed
    from headstart import embedding

    found = embedding.embed(data, source=source, layers=layers, input=input, label=label)
    for aside in found.set_aside:
        _complain(f"set aside: {aside.where}: {aside.reason}")
    found.save(out)
    facts = {
        "rows": len(found),
        "width": found.values.shape[1],
        "source": found.source,
        "set_aside": len(found.set_aside),
        "labelled": found.labels is not None,
        "out": out,
    }
    if json_:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        rows = counted(facts["rows"], "row")
        print(f"{rows} of width {facts['width']:,} by {found.source}: {out}")


@app.command()
def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run folder.")],
    json_: Json = False,
) -> None:
    """Print the summary of a finished run again, and write its report.html."""
    from pathlib import Path

    from headstart.report.page import write_page
    from headstart.report.summary import summary
    from headstart.search.result import read_result

    content = read_result(Path(run))
    print(json.dumps(content, ensure_ascii=False) if json_ else summary(content, Path(run)))
    print(write_page(content, Path(run)), file=sys.stderr)


@sources_app.command("list")
def list_sources(
    modality: Annotated[
        str | None, typer.Option(metavar="M", help="Only those for this kind of input.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(metavar="L", help="Only those of this licence, in any case.")
    ] = None,
    json_: JsonLines = False,
) -> None:
    """List the sources of the catalogue.

    * marks the default; others that are on this machine take part where there is time.
    """
    from headstart.sources.catalogue import those
    from headstart.sources.fetching import is_fetched
    from headstart.table import table

    listed = [(source, is_fetched(source)) for source in those(modality, licence)]
    if json_:
        for source, here in listed:
            print(json.dumps({**_facts(source), "fetched": here}, ensure_ascii=False))
        return
    rows = [("source", "for", "parameters", "rows/s", "licence", "on this machine")]
    for source, here in listed:
        name = f"{source.id} *" if source.default else source.id
        size = f"{source.parameters / 1e6:.1f} M"
        state = "yes" if here else "no"
        rows.append((name, source.modality, size, f"{source.speed:g}", source.licence, state))
    for line in table(rows, right=(2, 3)):
        print(line)


@sources_app.command("show")
def show_source(id: Annotated[str, typer.Argument(metavar="ID")], json_: Json = False) -> None:
    """Show what is known of a source."""
    from headstart.sources.fetching import folder_of, is_fetched
    from headstart.sources.opening import find_source

    source = find_source(id)
    facts = {**_facts(source), "fetched": is_fetched(source), "folder": str(folder_of(source))}
    if json_:
        print(json.dumps(facts, ensure_ascii=False))
        return
    said = {
        **facts,
        "parameters": f"{source.parameters:,}",
        "speed": f"{source.speed:g} rows a second on 2 cores with bfloat16"
        if source.speed
        else "not measured",
        "default": "yes" if source.default else f"no: --source {source.id}",
        "fetched": "yes" if facts["fetched"] else f"no: headstart sources fetch {source.id}",
    }
    for name, value in said.items():
        print(f"{name:14} {value}")


@sources_app.command("fetch")
def fetch_source(id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Bring a source's files to this machine, check them, and compile its layers for it."""
    from headstart.features.extract import prepare
    from headstart.sources.fetching import fetch
    from headstart.sources.loading import load_source
    from headstart.sources.opening import find_source

    def say(message: str) -> None:
        print(message, file=sys.stderr)

    source = find_source(id, say=say)
    folder = fetch(source, say)
    chosen = prepare(load_source(source))
    say(f"its frozen layers run in {chosen.name} ({chosen.precision})")
    for reason in chosen.refused:
        say(f"  not in {reason}")
    print(folder)


def _facts(source: Any) -> dict[str, Any]:
    named = ("id", "title", "modality", "architecture", "parameters", "pretraining", "licence")
    return {name: getattr(source, name) for name in (*named, "prefer", "speed", "default")}


@cache_app.command("show")
def show_cache() -> None:
    """Show where computed values are kept, how much room they take, and how much they may."""
    from headstart.features.cache import ActivationCache
    from headstart.features.engines import LIMIT, engines_folder
    from headstart.places import cache_limit, size_of

    cache, folder = ActivationCache(), engines_folder()
    for where, size, most in (
        (cache.folder, cache.size(), cache_limit()),
        (folder, size_of(folder, "*"), LIMIT),
    ):
        print(f"{where}\t{size / 1e6:,.1f} MB of at most {most / 1e6:,.0f} MB")


@cache_app.command("clear")
def clear_cache() -> None:
    """Delete all computed values, compiled models and measurements; fetched weights stay."""
    from headstart.evidence.similarity import similarity_folder
    from headstart.features.cache import ActivationCache
    from headstart.features.engines import engines_folder
    from headstart.training.measuring import numerics_folder

    ActivationCache().clear()
    for folder in (engines_folder(), numerics_folder(), similarity_folder()):
        shutil.rmtree(folder, ignore_errors=True)


with contextlib.suppress(AttributeError, ValueError):  # tables and labels may hold any letter
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]

if __name__ == "__main__":
    main()
