"""The summary at the end of a run, in words that need no knowledge of the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.evidence.intervals import figure
from headstart.wording import ABBREVIATED, counted, spoken

MOST_FREQUENT = "always the most frequent answer"
SIDES = {"transfer": "with a head start", "scratch": "from scratch"}
_SOONER = 1.5
"""How many times sooner a head start has to be as good for it to be told."""
_NAMED = 4
"""Of what was not tried, how many are named."""
_ANSWER = {
    "helps": "Yes: starting from a pre-trained model helped.",
    "hurts": "No: starting from a pre-trained model made it worse.",
    "no evidence": "It cannot be said whether starting from a pre-trained model helped.",
}


def summary(result: dict[str, Any], folder: Path) -> str:
    """Return some lines about a finished run.

    Parameters
    ----------
    result
        Content of ``result.json``.
    folder
        The run folder.
    """
    winner, data, verdict = result["winner"], result["data"], result["verdict"]
    metric = spoken(result["metric"])
    lines = [""]
    if result["status"] != "complete":
        lines.append(f"Stopped early ({result['status']}): this is the best model so far.")
    labels = "labels" if result["task"].endswith("-multilabel") else "classes"
    of = f" of {len(data['classes'])} {labels}" if data["classes"] else ""
    kept = f"{data['rows']:,} rows{of}"
    lines.append(f"Learnt from {kept} in {result['seconds']['total']:.0f} seconds.")
    if data["quarantined"]:
        aside = counted(data["quarantined"], "row")
        lines.append(f"{aside} could not be used; the ledger tells which, and why.")
    if data["left_out"]:
        lines.append(
            f"{counted(data['left_out'], 'row was', 'rows were')} left out of choosing and "
            "testing: the budget did not reach so far."
        )
    lines += [
        "",
        _scores(result, metric),
        "",
        f"Did the head start help? {_ANSWER[verdict['transfer']]}",
    ]
    lines += [_gain(result, metric), *_by_source(verdict.get("comparisons", []))]
    lines += [f"  Likely because {clause}." for clause in verdict.get("likely", ())]
    lines += _savings(result["seconds"].get("savings"))
    lines += _calibration(result.get("calibration"))
    lines += _outlook(result.get("learning_curve"))
    lines += subgroup_lines(result.get("subgroups", {}), metric)
    lines += _warnings(result.get("findings", []))
    lines += ["", f"You get: {_handed_back(winner)}."]
    if "outscored_by" in winner:
        lines.append(
            f"{winner['outscored_by']} scored more, but by so few rows that what either brought on "
            "other data decided."
        )
    disagreement = _disagreement(result)
    if disagreement:
        lines.append(disagreement)
    if winner["refitted"] and "nested" in result:
        lines.append(
            f"It was fitted on all {winner['rows']:,} rows; the scores above are those of models "
            "fitted in the same way on four fifths of them."
        )
    elif winner["refitted"]:
        lines.append(
            f"It was fitted again on {winner['rows']:,} rows, those of the test with them; the "
            "scores above are those of the model that had not seen the test rows."
        )
    if result["left_out"]:
        lines.append(f"Not tried, mostly for lack of time: {_some(result['left_out'])}.")
    lines += ["", f"Saved in {folder}/model. Use it: headstart predict {folder} INPUT..."]
    return "\n".join(lines)


def _calibration(found: dict[str, Any] | None) -> list[str]:
    """Return whether the model's probabilities can be taken as they are."""
    if found is None:
        return []
    error, chance = figure(found["error"]["value"]), figure(found["chance"])
    if found["off"]:
        return [
            "",
            f"Its probabilities are off by {error} on average: do not take them as they are.",
        ]
    return [
        "",
        f"Its probabilities are off by {error} on average; chance alone gives up to {chance}.",
    ]


def _outlook(curve: dict[str, Any] | None) -> list[str]:
    """Return what more labels would bring."""
    if curve is None:
        return []
    says = curve["says"][:1].upper() + curve["says"][1:]
    lines = ["", f"Would more labels help? {says} ({curve['of']})."]
    if curve.get("meets"):
        lines.append(
            f"From about {curve['meets']['value']:,.0f} labels on, {curve['other']['of']} is "
            "forecast to be as good."
        )
    return lines


def _warnings(findings: list[dict[str, Any]]) -> list[str]:
    """Return what is so wrong with the data that scores may mislead."""
    serious = [finding for finding in findings if finding["severity"] == "serious"]
    lines = [f"  {finding['says']}; {finding['does']}." for finding in serious]
    return ["", "Do not trust the scores before you have looked at this:", *lines] if lines else []


def subgroup_lines(scores: dict[str, dict[str, float]], metric: str) -> list[str]:
    """Return the scores of subgroups, a line each, under a line that says what they are."""
    if not scores:
        return []
    listed = [
        f"  {figure(score['value'])} [{figure(score['low'])}, {figure(score['high'])}]  "
        f"{name} ({counted(int(score['rows']), 'row')})"
        for name, score in scores.items()
    ]
    return ["", f"{_begun(metric)} by subgroup:", *listed]


def _some(names: list[str]) -> str:
    """Return a few names, each once, and how many more there are."""
    found = list(dict.fromkeys(names))
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return "; ".join(found[:_NAMED]) + more


def _begun(metric: str) -> str:
    """Return a metric as a sentence begins with it."""
    return metric if metric in ABBREVIATED.values() else metric[:1].upper() + metric[1:]


def _scores(result: dict[str, Any], metric: str) -> str:
    test = result["winner"]["test"]
    if test is None:
        value = result["winner"]["validation"]["value"]
        return f"{_begun(metric)} on validation rows: {figure(value)} (test rows were not read)."
    nested = result.get("nested")
    rows = f"{result['data']['test']:,}"
    whose = (
        f"{rows} rows, each held out from the models that answered it"
        if nested
        else f"{rows} test rows it had never seen"
    )
    lines = [
        f"{_begun(metric)} on {whose} "
        "(with the range in which the true value lies, 19 times out of 20):"
    ]
    finalists, trivial = result["finalists"], result["baselines"].get("majority") or {}
    own = result["baselines"].get("as_it_is") or {}
    named = [
        *((name, finalists[side]) for side, name in SIDES.items()),
        (own.get("says", ""), own),
        (trivial.get("says", MOST_FREQUENT), trivial),
    ]
    for name, entry in named:
        if entry and entry.get("test"):
            score = entry["test"]
            recipe = f" ({entry['recipe']})" if "recipe" in entry else ""
            lines.append(
                f"  {figure(score['value'])} [{figure(score['low'])}, {figure(score['high'])}]  "
                f"{name}{recipe}"
            )
    if nested and nested["repeats"] > 1:
        scores = nested["scores"]["winner"]
        lines.append(
            f"  Of {nested['repeats']} ways to hold rows out, the procedure scored "
            f"{figure(min(scores))} to {figure(max(scores))}."
        )
    return "\n".join(lines)


def _gain(result: dict[str, Any], metric: str) -> str:
    verdict = result["verdict"]
    gain = verdict["gain"]
    if gain is None:
        return f"  {verdict.get('reason', '')}"
    lines = [f"  On the same rows it is {_apart(gain, metric)}."]
    if adapted := verdict.get("adapted"):
        lines.append(f"  Beside the source as it is, it is {_apart(adapted['gain'], metric)}.")
    for side, name in SIDES.items():
        if result["finalists"][side].get("cut_short"):
            lines.append(f"  The budget ended the training of the model {name}: it may do better.")
        elif epochs := result["finalists"][side].get("epochs"):
            lines.append(
                f"  The budget had time for {epochs} of {result['finalists'][side]['planned']} "
                f"epochs of the model {name}: with more it may do a little better."
            )
    return "\n".join(lines)


def _apart(gain: dict[str, float], metric: str) -> str:
    better = "better" if gain["value"] >= 0 else "worse"
    return (
        f"{figure(abs(gain['value']))} {better} in {metric}; the difference lies between "
        f"{figure(gain['low'], '+')} and {figure(gain['high'], '+')}"
    )


def _savings(found: dict[str, Any] | None) -> list[str]:
    """Return how much sooner the head start was as good as the model from scratch."""
    if not found or not found["transfer"] or found["times_sooner"] < _SOONER:
        return []
    ours, theirs = found["transfer"]["seconds"], found["scratch"]["seconds"]
    return [
        f"  It was as good as the best model from scratch after {ours:.1f} seconds; that one took "
        f"{theirs:.1f}."
    ]


def _by_source(comparisons: list[dict[str, Any]]) -> list[str]:
    """Return what each source gains over the model from scratch, where there are several."""
    if not comparisons:
        return []
    lines = [
        f"    {figure(c['gain']['value'], '+')} [{figure(c['gain']['low'], '+')}, "
        f"{figure(c['gain']['high'], '+')}]  {c['source']} ({c['recipe']})"
        for c in comparisons
    ]
    return ["  Each source over the model from scratch (ranges that all hold at once):", *lines]


def _handed_back(winner: dict[str, Any]) -> str:
    if members := winner.get("members"):
        return f"{len(members)} models that answer together: {'; '.join(members)}"
    if winner["source"] is None:
        return f"the model from scratch ({winner['recipe']}), which did best on the validation rows"
    tuned = "" if winner["cut"] == "end" else f", tuned from {winner['cut']} on"
    return f"{winner['source']} ({winner['recipe']}{tuned})"


def _disagreement(result: dict[str, Any]) -> str:
    """Say so where the test rows disagree with the validation rows, which decide."""
    handed_transfer = result["winner"]["source"] is not None
    verdict = result["verdict"]["transfer"]
    if verdict == "hurts" and handed_transfer:
        return "The test rows prefer the model from scratch; validation decides, so take note."
    if verdict == "helps" and not handed_transfer:
        return "The test rows prefer the head start; validation decides, so take note."
    return ""
