"""A run: one folder, one race, one verdict; it can be stopped at any moment and resumed."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headstart.data.dataset import Data, SetAside
from headstart.data.readers import reader_of, title
from headstart.errors import ArtifactError, BudgetError, DataError, HeadstartError, UsageError
from headstart.evidence.nested import Answered
from headstart.evidence.novelty import Novelty
from headstart.models import Model
from headstart.recipes import QUALITIES, Recipe
from headstart.search.budget import Clock, Stopped, arm, spent, stoppable, too_short
from headstart.search.closing import (
    Evaluation,
    closing_seconds,
    comparing_seconds,
    estimate,
    evaluate,
    model_of,
    refitted,
    refitting_seconds,
    save_model,
)
from headstart.search.flagging import cached, novelty_of
from headstart.search.folds import REPEATS, Deal, Unfinished, dealt, hold_out
from headstart.search.joining import joined, recipe_of
from headstart.search.ledger import Ledger, TrialRecord
from headstart.search.listener import Listener
from headstart.search.outlook import curves, likely, outlook
from headstart.search.preparation import Options, Prepared, prepare
from headstart.search.race import Race
from headstart.search.reach import Reach
from headstart.search.result import read_result, result, write_result
from headstart.search.standing import Contender, Entry, Standing, in_question
from headstart.search.trial import reason_of, specify
from headstart.training.checkpoint import Checkpoint
from headstart.wording import counted

READ = "test rows read"
"""The event after which nothing more is tried: the test rows have been looked at."""
NEXT = 3
"""Models that are kept to answer together, or to lead once rows were held out again, at most."""


@dataclass(frozen=True)
class Outcome:
    """What a run left: its folder, its result, and the rows that were set aside."""

    folder: Path
    result: dict[str, Any]
    set_aside: tuple[SetAside, ...] = ()


def run(options: Options, clock: Clock, listener: Listener) -> Outcome:
    """Run, or resume, a study.

    Raises
    ------
    HeadstartError
        If the user must act; its text says how.
    Stopped
        If the run was interrupted before any model was usable.
    """
    folder = _folder(options)
    finished = folder / "result.json"
    if options.resume and finished.is_file():
        known = read_result(folder)
        if known["status"] == "complete":
            _require_the_same(folder, options, known)
            listener.say(f"{folder}: this run is complete")
            return Outcome(folder, known)
    listener.begin(folder)
    ledger: Ledger | None = None
    session: _Session | None = None
    try:
        with stoppable(clock):
            try:
                ledger = _open(folder, options, clock)
                reach = Reach(**(ledger.fact("reach") or {}))
                prepared = prepare(options, clock, listener, reach)
                ledger.note("reach", vars(reach))
                session = _Session(options, folder, clock, listener, ledger, prepared)
                session.race()
                session.close()
            except Stopped as stop:  # here, where further signals are ignored
                if session is not None and session.standing.winner is not None:
                    session.stop(stop.status)
                elif stop.status == "budget":
                    raise _without_a_model(options.budget, folder / "model") from None
                else:
                    raise
    except HeadstartError:  # the user corrects it, and may name the same folder again
        if ledger is not None and session is None and not options.resume:
            ledger.close()
            ledger = None
            _leave(folder)
        raise
    finally:
        if ledger is not None:
            with contextlib.closing(ledger):
                ledger.note("seconds", clock.used)
    assert session is not None
    return Outcome(folder, session.result, session.prepared.dataset.set_aside)


class _Session:
    """One session of a run, from the prepared bench to the result."""

    def __init__(
        self,
        options: Options,
        folder: Path,
        clock: Clock,
        listener: Listener,
        ledger: Ledger,
        prepared: Prepared,
    ) -> None:
        self.options = options
        self.folder = folder
        self.clock = clock
        self.listener = listener
        self.ledger = ledger
        self.prepared = prepared
        held_out = options.quality != QUALITIES[0] and prepared.deal is None
        self.joins = held_out and prepared.bench.task.output != "text"  # texts have no average
        ranks_again = prepared.deal is not None
        most = NEXT if self.joins or ranks_again else 0
        bench = prepared.bench
        self.standing = Standing(bench.metric, len(bench.validation.data), most)
        self.found = Evaluation()
        self.race_seconds = 0.0
        self.saved: int | None = None
        self.result: dict[str, Any] = {}
        self._record_data()
        self._restore()

    def race(self) -> None:
        """Run the race; raise `HeadstartError` if it found nothing usable.

        Where an earlier session has read the test rows, nothing more is tried.
        """
        if self.ledger.events(READ):
            self._deal_again()
            self.standing.skipped = self._left_out()
            return
        started = time.monotonic()
        prepared = self.prepared
        bench = prepared.bench
        ratio = len(prepared.dataset) / len(bench.train.data)
        besides = self._besides()
        try:
            Race(
                bench=bench,
                clock=self.clock,
                ledger=self.ledger,
                standing=self.standing,
                listener=self.listener,
                closing=lambda recipe: closing_seconds(
                    prepared,
                    [recipe, *(c.entry.recipe for c in self.standing.leaders())],
                    besides,
                ),
                saving=self.clock.saving,
                refitting=ratio if self.options.refit else 0.0,
                keep=self._keep,
                sweep=self._sweep,
                most=self.options.max_trials,
                deal=prepared.deal,
                varying=self.options.quality == QUALITIES[-1],
                checkpoint=lambda key: Checkpoint(self.folder / "trials" / f"{key}.safetensors"),
            ).run(prepared.entries)
            self._deal_again()
            for side in (True, False) if self.joins else ():
                self._join(side)
        finally:
            self.race_seconds = time.monotonic() - started
        if self.standing.winner is None:
            failed = [record for record in self.ledger.trials() if record.status == "failed"]
            if failed:
                raise HeadstartError(f"every trial failed; {_why(failed)}")
            raise too_short(self.options.budget)

    def _besides(self) -> float:
        """Return the seconds to keep back for what follows the race, whichever recipes it ran."""
        return comparing_seconds(self.prepared) + self.clock.saving

    def _left_out(self) -> list[str]:
        """Return what earlier sessions did not try, as they left it out."""
        tried, bench = {record.key for record in self.ledger.trials()}, self.prepared.bench
        untried = {e.name for e in self.prepared.entries if e.key(bench) not in tried}
        named = dict.fromkeys(event["entry"] for event in self.ledger.events("left out"))
        return [name for name in named if name in untried]

    def _join(self, has_head_start: bool) -> None:
        """Let the best models of a side answer together, where validation prefers that.

        There has to be time left for it, and for fitting all of them again.
        """
        standing, bench = self.standing, self.prepared.bench
        best = standing.best(has_head_start)
        leader = standing.transfer if has_head_start else standing.scratch
        if leader not in best:  # it may be joined already
            return
        recipes = [contender.entry.recipe for contender in best]
        closing = closing_seconds(self.prepared, recipes, self._besides())
        best = self._affordable(best, self.clock.left - 2 * closing)
        if len(best) < 2 or leader not in best:
            return
        started = time.monotonic()
        found = joined(bench, best, lambda c: model_of(c, self.folder))
        if found is None:
            return
        recipe = recipe_of(bench.task.modality, has_head_start)
        entry = Entry(recipe, found.members[0].entry.source)
        members = [contender.record.id for contender in found.members]
        if entry.key(bench) in {record.key for record in self.ledger.trials()}:
            return
        spec = specify(bench, entry.recipe, entry.source, {"members": members})
        details = {
            "settled": {"members": members},
            "cut": found.members[0].record.details["cut"],
            "loss": found.loss,
            "history": [],
        }
        seconds = time.monotonic() - started + sum(c.record.seconds for c in found.members)
        number = self.ledger.ended + 1
        record = TrialRecord(number, spec.key, vars(spec), "done", found.score, seconds, details)
        contender = Contender(entry, record, found.model, members=found.members)
        if standing.enter(contender):
            self._keep(contender)
        self.ledger.record(record)
        self._sweep()
        self.listener.done(record, " and ".join(c.entry.name for c in found.members))

    def _affordable(self, contenders: list[Contender], left: float) -> list[Contender]:
        """Return those of some contenders that can be fitted again in so many seconds."""
        found = []
        for contender in contenders:
            to_refit = refitting_seconds(self.prepared, contender) if self.options.refit else 0.0
            if to_refit <= left:
                found.append(contender)
                left -= to_refit
        return found

    def _deal_again(self) -> None:
        """Hold out all rows again in other folds, as often as there is time.

        Where the test rows were read, as often as they had been by then.

        Recipes that the first deal has shown to be worse than others take no part. Of the others
        those lead then that do best in all deals.
        """
        first, standing, bench = self.prepared.deal, self.standing, self.prepared.bench
        if first is None or not standing.tried:
            return
        standing.deals = [first]
        left = in_question(standing, bench.metric, first.rows.units[first.held], bench.seed)
        leaders = standing.leaders()
        recipes = [c.entry.recipe for c in leaders]
        closing = closing_seconds(self.prepared, recipes, self._besides())
        needed = sum(c.record.details["folding"] for c in left)
        needed += max(
            refitting_seconds(self.prepared, c) if self.options.refit else c.record.seconds
            for c in leaders
        )
        known = {event["repeat"]: event["answers"] for event in self.ledger.events("dealt again")}
        for repeat in range(1, REPEATS):
            deal = dealt(first.rows, bench, repeat)
            answers = known.get(repeat, {})
            if any(str(c.record.id) not in answers for c in left):
                if self.ledger.events(READ) or needed > self.clock.left - closing:
                    break
                self.listener.say(f"holding out all rows once more, in other folds ({repeat})")
                try:
                    answers = {str(c.record.id): self._again(deal, c) for c in left}
                except Unfinished:
                    break
                used = self.clock.used
                self.ledger.event(used, "dealt again", repeat=repeat, answers=answers)
            for contender in left:
                contender.answers.append(Answered.of(answers[str(contender.record.id)]))
            standing.deals.append(deal)
        self._rank_again()

    def _rank_again(self) -> None:
        before = self.standing.winner
        self.standing.rank_again()
        winner = self.standing.winner
        if winner is not before and winner is not None:
            model_of(winner, self.folder)
            self._keep(winner)
        self._sweep()

    def _again(self, deal: Deal, contender: Contender) -> dict[str, Any]:
        entry, settled = contender.entry, contender.record.details["settled"]
        machine = {n: v for n, v in settled.items() if n in contender.record.spec["machine"]}

        def late() -> bool:
            return self.clock.left < self.clock.saving

        return hold_out(deal, entry.recipe, entry.source, machine, late)[0].data()

    def close(self) -> None:
        """Evaluate, refit, save."""
        winner = self.standing.winner
        assert winner is not None
        self.ledger.event(self.clock.used, READ)
        judge = evaluate if self.prepared.deal is None else estimate
        self.found = judge(self.prepared, self.standing, self.folder, self.listener)
        self._hand_back(winner)
        self._look_ahead()
        self._finish("complete")

    def _look_ahead(self) -> None:
        """Say what more labels would bring, and why the head start did not help if it did not."""
        found, verdict = self.found, self.found.verdict
        try:
            known = curves(self.prepared, self.standing, self.clock)
            found.outlook = outlook(self.prepared, known, self.listener)
            if verdict is not None and verdict.gain is not None and verdict.transfer != "helps":
                why = likely(self.prepared, self.standing, found.test, known, self.clock)
                found.verdict = replace(verdict, likely=why)
        except Exception as error:  # what was measured so far stands without it
            self.listener.say(f"what more labels would bring is not known: {reason_of(error)}")

    def stop(self, status: str) -> None:
        """End at once with the best model so far, which is in ``model/`` or on its way there."""
        winner = self.standing.winner
        assert winner is not None
        if winner.record.id != self.saved and winner.model is not None:
            self._keep(winner)
        if winner.record.id not in {record.id for record in self.ledger.trials()}:
            self.ledger.record(winner.record)  # it was stopped before it was noted
        self._finish("complete" if self.found.verdict else status)

    def _hand_back(self, winner: Contender) -> None:
        """Save the winner, refitted where there is time, with what flags rows unlike its own."""
        evaluated = model_of(winner, self.folder)
        # features that are computed already are described at once, others of the last model alone
        known = cached(winner)
        novelty = self._novelty(evaluated, known) if known else None
        self._save(winner, evaluated, novelty)
        try:
            again = (
                self.options.refit
                and winner.entry.recipe.learns
                and refitted(self.prepared, self.standing, self.clock, self.listener)
            )
            model, self.found.refitted = again or (None, 0)
            if model is not None or not known:
                novelty = novelty if known else self._novelty(model or evaluated, known)
                self._save(winner, model or evaluated, novelty)
        except Stopped:  # the evaluated model is saved, the result only has to say so
            self.found.refitted = 0
            raise

    def _novelty(self, model: Model, known: bool) -> Novelty | None:
        started = time.monotonic()
        left = self.clock.left - self.clock.saving
        refit = bool(self.found.refitted)
        novelty = novelty_of(
            model, known, self.prepared, self.found.held, left, refit, self.listener
        )
        self.found.flagging += time.monotonic() - started
        return novelty

    def _save(self, winner: Contender, model: Model, novelty: Novelty | None) -> None:
        save_model(self.prepared, winner, model, self.found, self.folder / "model", novelty)
        self.saved = winner.record.id

    def _finish(self, status: str) -> None:
        self.result = result(
            title(self.options.data),
            self.prepared,
            self.standing,
            self.found,
            status,
            self.clock,
            self.race_seconds,
            self.ledger.trials(),
        )
        self._note_engines()
        write_result(self.result, self.folder)
        if status == "complete":
            shutil.rmtree(self.folder / "trials", ignore_errors=True)

    def _keep(self, contender: Contender) -> None:
        """Make a leading contender durable."""
        assert contender.model is not None
        trials = self.folder / "trials"
        nothing = Evaluation()
        name = str(contender.record.id)
        save_model(self.prepared, contender, contender.model, nothing, trials / name)
        if self.standing.winner is contender:
            save_model(self.prepared, contender, contender.model, nothing, self.folder / "model")
            self.saved = contender.record.id

    def _sweep(self) -> None:
        """Take away the models of those who no longer lead, from the disk and from memory."""
        leading = {contender.record.id for contender in self.standing.kept()}
        for contender in self.standing.entered:
            if contender.record.id not in leading:
                contender.model = None
        for checkpoint in self.folder.glob("trials/*/"):
            if checkpoint.name not in map(str, leading):
                shutil.rmtree(checkpoint, ignore_errors=True)

    def _record_data(self) -> None:
        bench = self.prepared.bench
        for name, value in (("data", bench.data), ("split", bench.split)):
            known = self.ledger.fact(name)
            if known is not None and known != value:
                raise DataError(
                    f"{title(self.options.data)}: the {name} differ from those this run began "
                    "with. Start a new run with another --out."
                )
            self.ledger.note(name, value)
        self.ledger.note(
            "set aside", [[s.where, s.reason] for s in self.prepared.dataset.set_aside]
        )
        self.ledger.note("notes", list(self.prepared.dataset.notes))
        self._note_engines()

    def _note_engines(self) -> None:
        """Record what frozen layers run in, up to which cut, and why not in what is faster."""
        found = {
            name: [{"place": at, **chosen.data()} for at, chosen in extractor.chosen.items()]
            for name, extractor in self.prepared.bench.extractors.items()
        }
        self.ledger.note("engines", found)

    def _restore(self) -> None:
        """Take over the trials of earlier sessions."""
        known, bench = self.ledger.trials(), self.prepared.bench
        entries = {entry.key(bench): entry for entry in self.prepared.entries}
        for record in known:
            source, entry = record.spec["source"], entries.get(record.key)
            here = source is None or source in bench.extractors  # it may have left the shortlist
            if entry is None and here:  # a variation
                entry = Entry(Recipe.of(record.spec["recipe"]), source)
            if entry is not None and record.status == "done":
                self._take_over(entry, record)
        if known:
            self.listener.say(f"  {counted(len(known), 'trial')} of earlier sessions kept")

    def _take_over(self, entry: Entry, record: TrialRecord) -> None:
        folds = record.details.get("folds")
        answers = [Answered.of(folds)] if folds else []
        members = tuple(c for c in self.standing.top if c.record.id in record.joins)
        if len(members) < len(record.joins):
            return
        contender = Contender(entry, record, None, answers=answers, members=members)
        if (self.folder / "trials" / str(record.id)).is_dir():
            self.standing.enter(contender)
        else:
            self.standing.note(contender)


def _require_the_same(folder: Path, options: Options, known: dict[str, Any]) -> None:
    """Raise `UsageError` where a complete run was of other data, or with other settings."""
    ours, its = title(options.data), known["data"]["path"]
    if ours != its and Path(ours).resolve() != Path(its).resolve():
        raise UsageError(f"{folder} is a run of {its}, not of {ours}; choose another --out")
    if (folder / "ledger.db").is_file():
        with contextlib.closing(Ledger(folder / "ledger.db")) as ledger:
            _require_settings(folder, options, ledger)


def _require_settings(folder: Path, options: Options, ledger: Ledger) -> None:
    """Raise `UsageError` where a run was begun with other settings."""
    known, asked = ledger.fact("options"), options.identity()
    if known is not None and known != asked:
        changed = ", ".join(name for name in asked if known.get(name) != asked[name])
        raise UsageError(
            f"{folder} was begun with other settings ({changed}); resume it with the same, or "
            "choose another --out"
        )


def _without_a_model(budget: float, earlier: Path) -> BudgetError:
    """Return the error of a session that has no model; `earlier` is that of one before it."""
    return spent(budget, earlier) if earlier.is_dir() else too_short(budget)


def _leave(folder: Path) -> None:
    """Take away the ledger of a run that did not begin, and the folder if nothing else is in it."""
    for path in folder.glob("ledger.*"):
        path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _why(failed: list[TrialRecord]) -> str:
    """Return the reasons of failed trials, each once."""
    reasons = {str(record.details.get("reason")) for record in failed}
    return "; ".join(sorted(reasons)[:3])


def _folder(options: Options) -> Path:
    """Return the run folder, checked: empty or new, or that of the run to resume."""
    if options.out is not None:
        folder = Path(options.out)
    else:
        folder = Path("runs") / _name(options.data)
        number = 2
        while not options.resume and folder.exists():
            folder = folder.with_name(f"{folder.name.removesuffix(f'-{number - 1}')}-{number}")
            number += 1
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder} is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not options.resume:
        if (folder / "ledger.db").exists():
            raise ArtifactError(
                f"{folder} holds another run. Choose another --out, or go on with it: --resume."
            )
        raise ArtifactError(f"{folder} is not empty. Choose another --out.")
    return folder


def _name(data: Data) -> str:
    """Return what a run on `data` is called where the user does not say."""
    if isinstance(data, (str, Path)):
        return Path(data).resolve().stem or "run"
    return title(data).lower()


def _open(folder: Path, options: Options, clock: Clock) -> Ledger:
    with clock.paused():  # a data set may have to be fetched first
        for data in (options.data, options.test):
            if data is not None:  # what is not there is said before a folder is made for it
                reader_of(data)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.write_bytes(b"\0" * 65536)
        os.remove(probe)
    except OSError as error:
        raise ArtifactError(
            f"{folder} cannot be written ({error.strerror}). Choose another --out, or make room."
        ) from None
    ledger = Ledger(folder / "ledger.db", writing=True)
    try:
        _require_settings(folder, options, ledger)
        ledger.note("options", options.identity())
    except HeadstartError:
        ledger.close()
        raise
    clock.before = max(float(ledger.fact("seconds") or 0.0), ledger.latest)
    arm(clock)
    return ledger
