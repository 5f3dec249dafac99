"""Encoders of recordings: the same row in any batch; Whisper's is transformers' where it is full.

What others answer beside transformers' own, `test_opening` says.
"""

from __future__ import annotations

import pytest
import torch
from transformers import WhisperConfig, WhisperModel

from headstart.data.modalities import Preprocessing
from headstart.errors import SourceError
from headstart.sources.families import families
from tiny import NETWORKS, build, inputs_for

AUDIO = "transformers-audio"
PARTS_OF_LSTM = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def test_a_full_recording_is_encoded_as_transformers_does():
    backbone = build("whisper", "sequence")
    config = WhisperConfig(**{k: v for k, v in NETWORKS["whisper"][1].items() if k != "model_type"})
    theirs = WhisperModel(config).encoder.eval()
    theirs.load_state_dict(backbone.model.network.state_dict())
    mel = torch.randn(2, config.num_mel_bins, 2 * config.max_source_positions)
    folded = mel.transpose(1, 2).reshape(2, config.max_source_positions, -1)
    with torch.no_grad():
        expected = theirs(mel).last_hidden_state
        found = backbone.model(folded, torch.ones(folded.shape[:2], dtype=torch.int64))["features"]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "name", [n for n, row in NETWORKS.items() if row[0] in (AUDIO, "speakers")]
)
def test_padding_changes_nothing(name):
    backbone = build(name)
    inputs = inputs_for(backbone, rows=4)
    settings = backbone.preprocessing.settings
    first, step = settings.get("first", 1), settings.get("step", 1)
    first = settings.get("reach", first)
    before, each = settings.get("before", 0), settings.get("each", 1)
    with torch.no_grad():
        whole = backbone.model(**inputs)["features"]
        for row, tokens in enumerate(inputs["attention_mask"].sum(1).tolist()):
            reach = first + step * ((tokens - before) // each - 1)
            alone = {name: value[row : row + 1, :reach] for name, value in inputs.items()}
            alone["attention_mask"] = inputs["attention_mask"][row : row + 1, :tokens]
            found = backbone.model(**alone)["features"]
            torch.testing.assert_close(found[0], whole[row], atol=1e-4, rtol=1e-4)
            if step == 1:
                continue
            # a batch that is cut to its longest row keeps inputs that are not one a token
            alone |= {n: v[row : row + 1] for n, v in inputs.items() if n != "attention_mask"}
            found = backbone.model(**alone)["features"]
            torch.testing.assert_close(found[0], whole[row], atol=1e-4, rtol=1e-4)


def test_voices_are_known_as_by_one_lstm_of_many_layers():
    backbone = build("speakers")
    theirs = torch.nn.LSTM(40, 24, 3, batch_first=True)
    layers = {f"layers.{i}.lstm.{n}_l0": f"{n}_l{i}" for i in range(3) for n in PARTS_OF_LSTM}
    state = backbone.model.state_dict()
    theirs.load_state_dict({name: state[ours] for ours, name in layers.items()})
    windows = torch.rand(3, 160, 40)
    with torch.no_grad():
        _, (hidden, _) = theirs(windows)
        said = torch.relu(backbone.model.linear(hidden[-1]))
        said = said / said.norm(dim=1, keepdim=True)
        mean = said.mean(0) / said.mean(0).norm()
        energy = windows.flatten(0, 1)[None]
        found = backbone.model(energy, torch.ones(1, 480, dtype=torch.int64))["features"]
    torch.testing.assert_close(found[0], mean, atol=1e-5, rtol=1e-5)


def test_it_says_how_recordings_are_read():
    settings = build("whisper").preprocessing.settings
    assert settings["bands"] == 8 and settings["stride"] == 2 and settings["seconds"] == 1.2


def test_another_type_is_refused_by_name():
    with pytest.raises(SourceError, match="none of the networks for recordings"):
        families.get(AUDIO).build({"model_type": "bark"}, Preprocessing({}, {}))
