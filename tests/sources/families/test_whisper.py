"""Whisper's decoder: what transformers writes, and what transformers says that it costs."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from headstart.data.letters import letters_of, texts_of
from headstart.sources.families.whisper import LEAST
from tiny import NETWORKS, build, inputs_for, shake

TEXTS = ["a b", "longer", "é"]


@pytest.fixture(scope="module")
def whisper():
    backbone = build("whisper", "text")
    shake(backbone.writer.network, seed=1)
    backbone.writer.eval()
    return backbone


@pytest.fixture(scope="module")
def states(whisper):
    with torch.no_grad():
        return whisper.model(**inputs_for(whisper))


@pytest.fixture(scope="module")
def theirs(whisper):
    config = {k: v for k, v in NETWORKS["whisper"][1].items() if k != "model_type"}
    network = WhisperForConditionalGeneration(WhisperConfig(**config)).eval()
    network.model.encoder.load_state_dict(whisper.model.network.state_dict())
    network.model.decoder.load_state_dict(whisper.writer.network.state_dict())
    network.proj_out.weight = network.model.decoder.embed_tokens.weight
    return network


def row_of(states, row):
    length = int(states["attention_mask"][row].sum())
    return {name: value[row : row + 1, :length] for name, value in states.items()}


def greedily(theirs, hidden, prompt, end, most):
    """Write token by token, everything computed anew each time, by transformers' own forward."""
    tokens = list(prompt)
    for _ in range(most):
        with torch.no_grad():
            logits = theirs(
                encoder_outputs=BaseModelOutput(hidden), decoder_input_ids=torch.tensor([tokens])
            ).logits[0, -1, : end + 1]
        if len(tokens) == len(prompt):
            logits[end] = -1e9
        tokens.append(int(logits.argmax()))
        if tokens[-1] == end:
            break
    return [token for token in tokens[len(prompt) :] if token != end]


def test_it_writes_what_transformers_writes(whisper, states, theirs):
    writer = whisper.writer
    written = texts_of(writer(states))
    for row, text in enumerate(written):
        own = row_of(states, row)
        most = int(LEAST + float(writer.rate) * own["features"].shape[1])
        expected = greedily(theirs, own["features"], writer.prompt, writer.end, most)
        assert writer.tokenizer.decode(expected).strip().startswith(text) and text


def test_a_long_recording_may_have_a_long_text_whatever_was_learnt_from(whisper):
    """Of a second's phrase and four seconds of silence few tokens are told for a position."""
    writer = copy.deepcopy(whisper.writer)
    writer.rate.fill_(0.05)
    assert writer.most(torch.tensor([100, 300, 1_500])).tolist() == [
        LEAST + n for n in (5, 15, 300)
    ]
    writer.rate.fill_(0.5)
    assert writer.most(torch.tensor([1_500])).tolist() == [LEAST + 750]


def test_a_text_costs_what_transformers_says(whisper, states, theirs):
    writer, letters = whisper.writer, torch.from_numpy(letters_of(TEXTS))
    with torch.no_grad():
        found = writer.costs(states, letters)
    counts = [len(text.encode()) + 2 for text in TEXTS]  # a space before it, and its end
    for row, (text, count) in enumerate(zip(TEXTS, counts, strict=True)):
        own = row_of(states, row)
        tokens = [*writer.prompt, *writer.tokenizer.encode(f" {text}").ids, writer.end]
        with torch.no_grad():
            logits = theirs(
                encoder_outputs=BaseModelOutput(own["features"]),
                decoder_input_ids=torch.tensor([tokens[:-1]]),
            ).logits[0, 1:, : writer.end + 1]
        expected = torch.nn.functional.cross_entropy(logits, torch.tensor(tokens[2:]))
        scaled = found[row] * sum(counts) / len(counts) / count
        torch.testing.assert_close(scaled, expected, atol=1e-4, rtol=1e-4)


def test_a_row_is_written_alike_in_any_batch_and_with_any_memory(whisper, states):
    writer = copy.deepcopy(whisper.writer)
    for beams in (1, 3):
        writer.beams = beams
        whole = texts_of(writer(states))
        assert whole == [texts_of(writer(row_of(states, row)))[0] for row in range(len(whole))]


def test_how_fast_is_spoken_bounds_what_is_written(whisper, states):
    writer = copy.deepcopy(whisper.writer)
    writer.begin(states, torch.from_numpy(letters_of(["abc"] * 3)))
    slow = writer(states)
    rate = float(writer.rate)
    writer.begin(states, torch.from_numpy(letters_of(["a" * 25] * 3)))
    assert rate < float(writer.rate) == 0.5 and slow.shape[1] <= writer(states).shape[1]
    assert slow.shape[1] <= LEAST + rate * 20


def test_less_silence_follows_a_phrase_where_the_encoder_is_tuned(toy_speech):
    tuned = toy_speech.to_tune()
    assert tuned.preprocessing.settings["tail"] < toy_speech.preprocessing.settings["tail"]
    assert tuned.model is toy_speech.model, "nothing is copied"
    assert tuned.to_tune().preprocessing == tuned.preprocessing
    heard = build("whisper")
    assert heard.to_tune().preprocessing == heard.preprocessing, "classes are told by no silence"
