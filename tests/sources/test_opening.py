"""Sources by name: folders that other libraries wrote, single checkpoints, and the hub offline."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import timm
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from timm.models import save_for_hf
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from headstart import fit, load
from headstart.data.letters import texts_of
from headstart.errors import SourceError
from headstart.sources import fetching
from headstart.sources.loading import load_source
from headstart.sources.opening import WINDOW, find_source, is_named_here
from tiny import NETWORKS, WAVE, speller

SIZES = {
    "vocab_size": 62,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}
PATCHES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
IDS = torch.tensor([[7, 8, 9, 10, 11], [12, 13, 14, 0, 0]])
MASK = (IDS != 0).long()


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    """A cache of the test's own, and a hub that does not answer."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetching, "_hub_answers", lambda: False)


@pytest.fixture
def saved(tmp_path, tokenizer):
    """A function that writes a network of transformers, and what reads its inputs, to a folder."""

    def save(network, *, reads=True):
        torch.manual_seed(0)
        folder = tmp_path / "network"
        network.eval().save_pretrained(folder)
        if reads:
            fast = PreTrainedTokenizerFast(
                tokenizer_object=Tokenizer.from_str(tokenizer), pad_token="[PAD]"
            )
            fast.save_pretrained(folder)
        return folder

    return save


def features(loaded, **inputs):
    with torch.no_grad():
        return loaded.backbone.model(**inputs)["features"]


def mean(hidden):
    weight = MASK.unsqueeze(-1)
    return (hidden * weight).sum(1) / weight.sum(1)


GPT = {"vocab_size": 62, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 40}


@pytest.mark.parametrize(
    ("network", "options", "longest"),
    [
        ("Bert", SIZES, 40),
        ("GPT2", GPT, 40),
        ("Roberta", {**SIZES, "pad_token_id": 0}, 39),  # positions are counted from the padding's
        ("Llama", {**SIZES, "max_position_embeddings": 5000}, WINDOW),
    ],
)
def test_a_saved_network_of_texts_answers_as_transformers_does(saved, network, options, longest):
    config = getattr(transformers, f"{network}Config")(**options)
    # with a head, as people save their models: other names, and layers that are not wanted
    whole = getattr(transformers, f"{network}ForSequenceClassification")(config)
    source = find_source(str(saved(whole)))
    assert source.modality == "text" and source.parameters > 1000
    assert source.settings == {"max_length": longest, "pad": 0}
    loaded = load_source(source)
    with torch.no_grad():
        hidden = whole.base_model(input_ids=IDS, attention_mask=MASK).last_hidden_state
    found = features(loaded, input_ids=IDS, attention_mask=MASK)
    assert torch.allclose(found, mean(hidden), atol=1e-5)
    assert loaded.digest != load_source(source, "sequence").digest


def test_the_longest_text_of_a_roberta_has_a_position_for_every_token(saved):
    config = transformers.RobertaConfig(**SIZES, pad_token_id=0)
    loaded = load_source(find_source(str(saved(transformers.RobertaModel(config)))))
    ids = torch.full((1, loaded.backbone.preprocessing.settings["max_length"]), 7)
    assert features(loaded, input_ids=ids, attention_mask=torch.ones_like(ids)).isfinite().all()
    more = torch.full((1, ids.shape[1] + 1), 7)
    with pytest.raises((IndexError, RuntimeError)):
        features(loaded, input_ids=more, attention_mask=torch.ones_like(more))


def test_a_saved_network_of_pictures_answers_as_transformers_does(saved, tmp_path):
    whole = transformers.ViTForImageClassification(transformers.ViTConfig(**PATCHES))
    folder = saved(whole, reads=False)
    looks = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.25], "resample": 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(looks))
    source = find_source(str(folder))
    assert source.modality == "image" and source.settings["interpolation"] == "bicubic"
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    shown = (pixels / 255 - torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)) / torch.tensor(
        [0.2, 0.3, 0.25]
    ).view(3, 1, 1)
    with torch.no_grad():
        expected = whole.vit(pixel_values=shown).last_hidden_state[:, 0]
    loaded = load_source(source)
    assert torch.allclose(features(loaded, pixels=pixels), expected, atol=1e-4)
    assert loaded.backbone.preprocessing.settings["size"] == 32


def test_the_tower_of_clip_that_is_asked_for_is_the_one_that_is_opened(saved):
    config = transformers.CLIPConfig(
        text_config={**SIZES, "eos_token_id": 61}, vision_config=PATCHES, projection_dim=16
    )
    whole = transformers.CLIPModel(config)
    folder = str(saved(whole))
    assert find_source(folder).modality == "image"
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    ids = torch.tensor([[7, 8, 61, 0], [9, 10, 11, 61]])
    with torch.no_grad():
        seen = whole.vision_model(pixel_values=pixels / 127.5 - 1).pooler_output
        read = whole.text_model(input_ids=ids, attention_mask=(ids != 0).long()).pooler_output
    pictures = load_source(find_source(folder, "image"))
    texts = load_source(find_source(folder, "text"))
    assert texts.source.modality == "text"
    assert torch.allclose(features(pictures, pixels=pixels), seen, atol=1e-4)
    found = features(texts, input_ids=ids, attention_mask=(ids != 0).long())
    assert torch.allclose(found, read, atol=1e-4)


@pytest.fixture
def resnet():
    """A small network of timm with its classifier."""
    torch.manual_seed(0)
    return timm.create_model("test_resnet").eval()


@pytest.mark.parametrize("alone", [False, True], ids=["saved by timm", "bare checkpoint"])
def test_a_checkpoint_of_timm_answers_as_timm_does(resnet, tmp_path, alone):
    if alone:
        path = tmp_path / "test_resnet.r160_in1k.safetensors"
        save_file(resnet.state_dict(), path)
    else:
        path = tmp_path / "network"
        save_for_hf(resnet, path, safe_serialization=True)
    source = find_source(str(path))
    assert source.modality == "image" and source.architecture == "test_resnet"
    # timm's own settings of this network, which differ from the usual ones
    assert source.settings["size"] == 160 and source.settings["mean"] == [0.5, 0.5, 0.5]
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        expected = resnet.forward_head(resnet.forward_features(pixels / 127.5 - 1), pre_logits=True)
    assert torch.allclose(features(load_source(source), pixels=pixels), expected, atol=1e-4)


def test_a_folder_with_one_checkpoint_and_nothing_else_is_that_checkpoint(resnet, tmp_path):
    save_file(resnet.state_dict(), tmp_path / "test_resnet.mine.safetensors")
    source = find_source(str(tmp_path))
    assert source.config["name"] == "test_resnet" and source.settings["size"] == 160
    load_source(source)


def test_weights_of_another_architecture_are_refused(resnet, tmp_path):
    path = tmp_path / "test_resnet.safetensors"
    state = {name: value for name, value in resnet.state_dict().items() if "layer4" not in name}
    save_file(state, path)
    with pytest.raises(SourceError, match=r"the weights do not fit the network.*layer4"):
        load_source(find_source(str(path)))


class Trap:
    """Unpickling this would create the folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("library", ["timm", "transformers"])
def test_a_pickle_with_code_in_it_is_refused_and_the_code_not_run(tmp_path, saved, library):
    trace = tmp_path / "ran"
    if library == "transformers":
        folder = saved(transformers.BertModel(transformers.BertConfig(**SIZES)))
        (folder / "model.safetensors").unlink()
    else:
        folder = tmp_path / "network"
        folder.mkdir()
        (folder / "config.json").write_text('{"architecture": "test_resnet"}')
    content = {"embeddings.word_embeddings.weight": torch.ones(2), "trap": Trap(trace)}
    torch.save(content, folder / "pytorch_model.bin")
    with pytest.raises(SourceError, match="holds more than tensors and was refused"):
        load_source(find_source(str(folder)))
    assert not trace.exists()


def test_tensors_in_a_pytorch_file_serve_where_there_are_no_safetensors(saved):
    whole = transformers.BertModel(transformers.BertConfig(**SIZES))
    folder = saved(whole)
    (folder / "model.safetensors").unlink()
    torch.save(whole.state_dict(), folder / "pytorch_model.bin")
    loaded = load_source(find_source(str(folder)))
    with torch.no_grad():
        hidden = whole(input_ids=IDS, attention_mask=MASK).last_hidden_state
    found = features(loaded, input_ids=IDS, attention_mask=MASK)
    assert torch.allclose(found, mean(hidden), atol=1e-5)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (None, "holds no config.json"),
        ("{", "config.json is damaged"),
        ("[1]", "cannot be understood"),
        ("{}", "names neither timm's architecture nor transformers' model_type"),
        ('{"architecture": "resnett50"}', "timm has no network 'resnett50'. Did you mean resnet50"),
        ('{"architecture": "resnet18", "model_args": {"wings": 2}}', "cannot build 'resnet18'"),
        ('{"architecture": 5}', "names neither timm's architecture"),
        ('{"architecture": "resnet18", "model_args": 5}', "cannot be understood"),
        ('{"model_type": "bertt"}', "transformers cannot build 'bertt'"),
        ('{"model_type": "bert", "hidden_size": "wide"}', "transformers cannot build 'bert'"),
    ],
)
def test_a_config_that_makes_no_network_is_answered_with_the_reason(saved, config, said):
    folder = saved(transformers.BertModel(transformers.BertConfig(**SIZES)))
    save_file({"x": torch.ones(1)}, folder / "other.safetensors")
    (folder / "config.json").unlink()
    if config is not None:
        (folder / "config.json").write_text(config)
    with pytest.raises(SourceError) as caught:
        load_source(find_source(str(folder)))
    assert said in str(caught.value)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["architecture", "model_type", "pretrained_cfg", "model_args"]),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5) | st.just("test_resnet"),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(["input_size", "mean", "x"]), inner, max_size=2)
            ),
            max_leaves=3,
        ),
    )
)
def test_whatever_a_config_holds_there_is_a_source_or_a_message(tmp_path, config):
    folder = tmp_path / "any"
    folder.mkdir(exist_ok=True)
    save_file({"x": torch.ones(1)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError):
        load_source(find_source(str(folder)))


def test_a_folder_without_weights_or_with_damaged_ones_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"architecture": "test_resnet"}')
    with pytest.raises(SourceError, match="holds no weights"):
        find_source(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"no safetensors")
    with pytest.raises(SourceError, match=r"model\.safetensors is damaged"):
        find_source(str(tmp_path))


def test_a_network_of_texts_without_tokenizer_is_refused(saved):
    folder = saved(transformers.BertModel(transformers.BertConfig(**SIZES)), reads=False)
    with pytest.raises(SourceError, match="no tokenizer that can be read .tokenizer.json is miss"):
        find_source(str(folder))
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(SourceError, match="holds no tokenizer that can be read"):
        find_source(str(folder))


def test_a_vocabulary_of_an_older_kind_is_converted(saved):
    folder = saved(transformers.BertModel(transformers.BertConfig(**SIZES)), reads=False)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "day"]
    (folder / "vocab.txt").write_text("\n".join(words))
    reads = Tokenizer.from_str(find_source(str(folder)).texts["tokenizer.json"])
    assert reads.encode("Good day").ids == [2, 5, 6, 3]


def test_a_network_of_pictures_that_no_family_reads_is_refused_by_name(saved):
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1])
    folder = saved(transformers.ResNetModel(config), reads=False)
    (folder / "preprocessor_config.json").write_text("{}")
    with pytest.raises(SourceError, match="resnet of transformers is none of the networks for"):
        load_source(find_source(str(folder)))


@pytest.mark.parametrize("name", ["timm/resnet50.a1_in1k", "hf/owner/name"])
def test_offline_a_name_of_the_hub_is_answered_with_how_to_bring_it(tmp_path, name):
    assert not is_named_here(name)
    with pytest.raises(SourceError) as caught:
        find_source(name)
    said = str(caught.value)
    place = tmp_path / "cache" / "sources" / name.replace("/", "--")
    assert f"{name} is not on this machine and the hub cannot be reached" in said
    assert f"`headstart sources fetch {name}` brings it to {place}" in said
    assert not place.exists()


@pytest.mark.parametrize("hub", ["timm", "hf"])
def test_a_repository_of_the_hub_is_fetched_once_and_opened(tmp_path, monkeypatch, resnet, hub):
    import huggingface_hub

    asked = []

    def download(repository, allow_patterns, local_dir):
        asked.append(repository)
        assert not any("bin" in pattern or "py" in pattern for pattern in allow_patterns)
        save_for_hf(resnet, local_dir, safe_serialization=True)

    monkeypatch.setattr(fetching, "_hub_answers", lambda: True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    name = {"timm": "timm/test_resnet.r160_in1k", "hf": "hf/owner/name"}[hub]
    said = []
    source = find_source(name, say=said.append)
    assert asked == [{"timm": name, "hf": "owner/name"}[hub]]
    assert said == [f"fetching {name} from the hub"] and is_named_here(name)
    assert load_source(source).source.id == name
    find_source(name)
    assert len(asked) == 1


def test_a_repository_without_a_configuration_is_refused_each_time_alike(tmp_path, monkeypatch):
    import huggingface_hub

    def download(_repository, allow_patterns, local_dir):
        local_dir.mkdir(parents=True)
        (local_dir / "README.txt").write_text("weights in a form of their own")

    monkeypatch.setattr(fetching, "_hub_answers", lambda: True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    for _ in range(2):
        with pytest.raises(SourceError, match=r"has no config\.json"):
            find_source("hf/owner/name")


def test_a_repository_that_another_process_brought_meanwhile_is_taken(saved, tmp_path, monkeypatch):
    import huggingface_hub

    whole = saved(transformers.BertModel(transformers.BertConfig(**SIZES)))
    place = []

    def download(_repository, allow_patterns, local_dir):
        shutil.copytree(whole, local_dir)
        shutil.copytree(whole, place[0])

    def fetch(name, repository, folder, say):
        place.append(folder)
        fetching.fetch_repository(name, repository, folder, say)

    monkeypatch.setattr(fetching, "_hub_answers", lambda: True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    fetch("hf/owner/name", "owner/name", tmp_path / "cache" / "theirs", print)
    assert (place[0] / "config.json").is_file()


def test_a_repository_that_breaks_off_leaves_nothing_behind(tmp_path, monkeypatch):
    import huggingface_hub

    def download(_repository, allow_patterns, local_dir):
        local_dir.mkdir(parents=True)
        (local_dir / "config.json").write_text("{}")
        raise TimeoutError("the line was cut")

    monkeypatch.setattr(fetching, "_hub_answers", lambda: True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(SourceError, match="TimeoutError: the line was cut"):
        find_source("hf/owner/name")
    assert list((tmp_path / "cache" / "sources").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "near"), [("bundled/minilmm", "bundled/minilm"), ("efficientnet-lite0", "lite0")]
)
def test_an_unknown_name_is_answered_with_near_matches(name, near):
    assert is_named_here(name)
    with pytest.raises(
        SourceError, match=f"There is no source called {name!r}. Did you mean.*{near}"
    ):
        find_source(name)


def test_a_name_of_the_hub_cannot_lead_out_of_the_cache():
    with pytest.raises(SourceError, match="There is no source called"):
        find_source("hf/../../etc")


def test_fit_starts_from_a_folder_and_its_model_predicts_without_that_folder(
    saved, headlines, tmp_path
):
    folder = saved(transformers.BertModel(transformers.BertConfig(**SIZES)))
    study = fit(
        headlines.path,
        source=str(folder),
        budget="60s",
        max_trials=3,
        out=tmp_path / "run",
        refit=False,
    )
    assert study.result["baselines"]["probe"]["source"] == str(folder)
    assert study.result["status"] == "complete"
    shutil.rmtree(folder)
    answers = load(tmp_path / "run").predict(["w1 w2 w3", "w21 w25"])
    assert len(answers) == 2


WORDS = {"<pad>": 0, "<s>": 1, "|": 2, "B": 3, "A": 4, "'": 5, "ß": 6}


@pytest.mark.parametrize("network", ("Wav2Vec2", "Hubert", "WavLM"))
@pytest.mark.parametrize("more", ({}, {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}))
def test_a_saved_network_of_recordings_answers_as_transformers_does(saved, network, more):
    config = getattr(transformers, f"{network}Config")(**WAVE, **more, vocab_size=len(WORDS))
    whole = getattr(transformers, f"{network}ForCTC")(config)
    folder = saved(whole, reads=False)
    (folder / "vocab.json").write_text(json.dumps(WORDS))
    reads = {"do_normalize": False}
    (folder / "preprocessor_config.json").write_text(json.dumps(reads))
    source = find_source(str(folder))
    assert source.modality == "audio" and source.settings == {"normalised": False}
    loaded = load_source(source, "text")
    wave = torch.randn(2, 30 + 20 * 8)
    heard = {"wave": wave, "attention_mask": torch.ones(2, 9, dtype=torch.int64)}
    with torch.no_grad():
        logits = whole(wave).logits
        logits[..., [WORDS["<s>"], WORDS["ß"]]] = -torch.inf  # these are no letter of a transcript
        expected = logits.argmax(-1)
        hidden = whole.base_model(wave).last_hidden_state
        value = loaded.backbone.model(**heard)
        torch.testing.assert_close(value["features"], hidden, atol=1e-5, rtol=1e-5)
        written = texts_of(loaded.backbone.writer.eval()(value))
    said = {2: " ", 3: "b", 4: "a", 5: "'"}
    for row, text in zip(expected.tolist(), written, strict=True):
        new = [a for a, before in zip(row, [None, *row], strict=False) if a != before]
        assert text == " ".join("".join(said.get(token, "") for token in new).split())
    assert len(loaded.backbone.writer.letters) == 4
    taught = loaded.backbone.writer.taught("abc")
    known = loaded.backbone.writer.linear.weight
    assert torch.equal(
        taught.linear.weight[2], known[1 + loaded.backbone.writer.letters.index("b")]
    )
    assert torch.allclose(taught.linear.weight[3], known[1:].mean(0))
    assert load_source(source).backbone.writer is None


def test_a_saved_whisper_brings_what_it_writes_with(saved):
    config = {k: v for k, v in NETWORKS["whisper"][1].items() if k != "model_type"}
    whole = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**config))
    folder = saved(whole, reads=False)
    (folder / "tokenizer.json").write_text(speller())
    loaded = load_source(find_source(str(folder)), "text")
    theirs = whole.model.decoder.layers[0].fc1.weight
    assert torch.equal(loaded.backbone.writer.network.layers[0].fc1.weight, theirs)
    assert torch.equal(loaded.backbone.model.network.conv1.weight, whole.model.encoder.conv1.weight)


def test_a_saved_ast_answers_as_transformers_does(saved):
    sizes = {k: v for k, v in NETWORKS["ast"][1].items() if k != "model_type"}
    whole = transformers.ASTForAudioClassification(transformers.ASTConfig(**sizes))
    folder = saved(whole, reads=False)
    (folder / "preprocessor_config.json").write_text(json.dumps({"mean": -4.0, "std": 3.0}))
    source = find_source(str(folder))
    assert source.settings == {"mean": -4.0, "std": 3.0}
    loaded = load_source(source)
    fbank = torch.randn(2, sizes["max_length"], sizes["num_mel_bins"])
    patches = whole.audio_spectrogram_transformer.embeddings.position_embeddings.shape[1]
    mask = torch.ones(2, patches, dtype=torch.int64)
    with torch.no_grad():
        expected = whole.audio_spectrogram_transformer(fbank).pooler_output
    torch.testing.assert_close(
        features(loaded, fbank=fbank, attention_mask=mask), expected, atol=1e-5, rtol=1e-5
    )
