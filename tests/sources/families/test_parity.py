"""Every family, every cut: prefix and suffix together are the whole network, and train like it.

A new family earns its coverage by a row in `ROWS`; a new bundled source needs none.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from headstart.data.modalities import Preprocessing
from headstart.sources import staged
from headstart.sources.catalogue import sources
from headstart.sources.families import families
from headstart.sources.families import timm as timm_family
from headstart.sources.families import torchvision as torchvision_family
from headstart.sources.families.transformers import PICTURES, TEXTS
from headstart.sources.loading import load_source
from resume import Course, cell, recipes

LOOKS = {"size": 32, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}
TEXT = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 70,
}
FEW_KEYS = {**TEXT, "num_key_value_heads": 2}
RELATIVE = {**TEXT, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
PATCHES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 48,
    "patch_size": 8,
}
SWIN = {
    "img_size": 64,
    "window_size": 4,
    "embed_dim": 16,
    "depths": [1, 1, 2],
    "num_heads": [2, 2, 4],
}


def timm(name, **arguments):
    return "timm", {"name": name, "arguments": arguments}


def text(kind, /, **settings):
    return "transformers-text", {"model_type": kind, **settings}


def image(kind, **settings):
    return "transformers-image", {"model_type": kind, **settings}


NETWORKS = {
    "convnext": timm("test_convnext"),
    "densenet": timm("densenet121", growth_rate=8, block_config=[2, 2, 2, 2]),
    "efficientnet": timm("test_efficientnet"),
    "inception": timm("inception_v3"),
    "mobilenet": timm("mobilenetv3_small_050"),
    "resnet": timm("test_resnet"),
    "swin": timm("swin_tiny_patch4_window7_224", **SWIN),
    "vgg": timm("vgg11", mlp_ratio=0.005),
    "vit": timm("test_vit"),
    "another timm": timm("test_byobnet"),
    "vgg trunk": ("timm", {"name": "vgg11", "trunk": True, "arguments": {"mlp_ratio": 0.005}}),
    "squeezenet": ("torchvision", {"name": "squeezenet1_1"}),
    "another of torchvision": ("torchvision", {"name": "shufflenet_v2_x0_5"}),
    "clip image": image("clip", vision_config=PATCHES),
    "dinov2": image("dinov2", **{**PATCHES, "mlp_ratio": 2}),
    "hf vit": image("vit", **PATCHES),
    "bert": text("bert", **TEXT),
    "short bert": text("bert", **{**TEXT, "num_hidden_layers": 1, "hidden_size": 16}),
    "clip text": text("clip", text_config={**TEXT, "eos_token_id": 49}),
    "deberta": text("deberta", **RELATIVE),
    "deberta v2": text(
        "deberta-v2",
        **RELATIVE,
        position_buckets=8,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        conv_kernel_size=3,
        conv_act="gelu",
    ),
    "distilbert": text("distilbert", vocab_size=50, dim=32, n_layers=3, n_heads=4, hidden_dim=48),
    "electra": text("electra", **TEXT, embedding_size=16),
    "gpt2": text("gpt2", vocab_size=50, n_embd=32, n_layer=3, n_head=4, n_positions=70),
    "llama": text("llama", **FEW_KEYS),
    "mistral": text("mistral", **FEW_KEYS),
    "mpnet": text("mpnet", **TEXT),
    "qwen2": text("qwen2", **FEW_KEYS),
    "qwen3": text("qwen3", **FEW_KEYS, head_dim=8),
    "roberta": text("roberta", **TEXT, pad_token_id=0),
    "t5": text(
        "t5",
        vocab_size=50,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=3,
        num_heads=4,
        dropout_rate=0.0,  # it drops its inputs outside every stage
    ),
    "xlm-roberta": text("xlm-roberta", **TEXT, pad_token_id=0),
    "another of transformers": text("albert", **TEXT, embedding_size=16),
}
NETWORKS["joint"] = (
    "joint",
    {
        kind: {"family": NETWORKS[name][0], "config": NETWORKS[name][1]}
        for kind, name in (("image", "efficientnet"), ("text", "bert"))
    },
)
WHOLE = (
    *("efficientnet", "swin", "vit", "vgg", "squeezenet", "hf vit", "dinov2"),
    *("bert", "gpt2", "t5"),
)
"""Networks that are also tried without pooling, as dense and token-wise tasks want them."""
ROWS = [(name, "pooled") for name in NETWORKS] + [
    (name, "sequence" if NETWORKS[name][0] == "transformers-text" else "map") for name in WHOLE
]
IDS = [f"{name}-{output}" for name, output in ROWS]


def build(name, output, shaken):
    family, config = NETWORKS[name]
    torch.manual_seed(0)
    settings = {
        "image": LOOKS,
        "text": {},
        "image+text": {"image": LOOKS, "text": {}},
    }[families.get(family).modality]
    backbone = families.get(family).build(config, Preprocessing(settings, {}), output)
    shaken(backbone.model)
    return backbone


@pytest.fixture(params=ROWS, ids=IDS)
def backbone(request, shaken):
    return build(*request.param, shaken)


def fixed(backbone):
    return "fixed" in backbone.preprocessing.settings


def inputs_for(backbone, rows=3, size=40, seed=0):
    """Random pictures, or texts of different lengths with padding on the right, or both."""
    random = np.random.default_rng(seed)
    inputs = {}
    if "pixels" in backbone.example:
        side = backbone.preprocessing.settings["size"] if fixed(backbone) else size + 75
        rows = min(rows, 5)
        pixels = random.integers(0, 256, (rows, 3, side, side), np.uint8)
        inputs["pixels"] = torch.from_numpy(pixels)
    if "input_ids" in backbone.example:
        tokens = size // 2
        lengths = [max(1, tokens - 3 * i) for i in range(rows)]
        mask = torch.tensor([[int(t < length) for t in range(tokens)] for length in lengths])
        ids = torch.from_numpy(random.integers(1, 50, (rows, tokens))) * mask
        inputs |= {"input_ids": ids, "attention_mask": mask}
    return inputs


def assert_close(found, expected, scale=1e-5):
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= scale * float(expected.abs().max())


def assert_parity(backbone, inputs, cuts=None):
    with torch.no_grad():
        expected = backbone.model(**inputs)
        for cut in cuts or range(backbone.end + 1):
            found = backbone.suffix(cut).eval()(backbone.prefix(cut)(**inputs))
            for name, value in expected.items():
                assert torch.isfinite(found[name]).all(), f"cut {cut}"
                assert_close(found[name], value)


def test_the_table_has_every_family():
    assert {family for family, _ in NETWORKS.values()} == set(families.names())


def test_the_table_has_every_line_of_stages():
    built = [type(build(name, "pooled", lambda model: model).model.network) for name in NETWORKS]
    lines = {*timm_family.STAGES, *torchvision_family.STAGES}
    assert {cls.__module__.rsplit(".", 1)[-1] for cls in built} >= lines
    for kinds, family in ((TEXTS, "transformers-text"), (PICTURES, "transformers-image")):
        tried = {config["model_type"] for found, config in NETWORKS.values() if found == family}
        assert tried >= set(kinds)


def moving(backbone, cut, inputs):
    """Return the parameters outside every stage that move what crosses the cut, one by one."""
    if cut == 0:
        return []
    within = tuple(f"{name}." for stage in backbone.stages for name in stage.modules)
    found = []
    with torch.no_grad():
        before = backbone.prefix(cut)(**inputs)
        for name, parameter in backbone.model.named_parameters():
            if name.startswith(within):
                continue
            kept = parameter.clone()
            parameter.add_(torch.randn_like(parameter))
            after = backbone.prefix(cut)(**inputs)
            parameter.copy_(kept)
            if not all(torch.equal(before[key], after[key]) for key in before):
                found.append(name)
    return found


def test_suffix_after_prefix_equals_the_network_at_every_cut(backbone):
    assert_parity(backbone, inputs_for(backbone))


@pytest.mark.parametrize(("rows", "size"), [(1, 32), (2, 64), (11, 22), (32, 33)])
def test_parity_holds_for_rows_and_sizes_that_meet_those_of_the_example(backbone, rows, size):
    assert_parity(backbone, inputs_for(backbone, rows, size))


@pytest.mark.parametrize("name", sources.names())
def test_parity_holds_for_the_real_weights_of_every_source(name):
    backbone = load_source(sources.get(name)).backbone
    # half a gigabyte is copied at each cut of the largest; benchmarks/parity.py tries them all
    few = {0, 1, backbone.end // 2, backbone.end} if backbone.end > 20 else None
    assert_parity(backbone, inputs_for(backbone, size=64), few)


def test_what_stands_in_for_stages_before_the_cut_is_never_used(backbone, monkeypatch):
    stood_in = []
    original = staged._Stub._stand_in

    def spy(self, leaf):
        value = original(self, leaf)
        if torch.is_tensor(value) and value.is_floating_point():
            stood_in.append(bool(value.isnan().all()))
        return value

    monkeypatch.setattr(staged._Stub, "_stand_in", spy)
    inputs = inputs_for(backbone)
    for cut in range(2, backbone.end):
        suffix = backbone.suffix(cut).eval()
        assert torch.isfinite(suffix(backbone.prefix(cut)(**inputs))["features"]).all()
    assert all(stood_in) and (stood_in or backbone.end <= 2)


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "joint"])
def test_training_that_was_killed_goes_on_to_the_same_end(name, shaken, tmp_path):
    backbone = build(name, "pooled", shaken)
    modality = "image" if "pixels" in backbone.example else "text"
    gradual = next(recipe for recipe in recipes(modality) if recipe.name == "gradual")
    course = Course(backbone, gradual, inputs_for(backbone, rows=5))
    found = cell(course, tmp_path, every=2)  # at the end of an epoch, and in the middle of one
    assert found["killed_after_steps"] and not found["different"]


@pytest.mark.parametrize("training", [False, True], ids=["evaluating", "training"])
def test_gradients_and_a_step_equal_those_of_the_network_with_a_frozen_prefix(backbone, training):
    inputs = inputs_for(backbone, rows=6)
    for cut in sorted({0, 1, 2, backbone.end // 2, backbone.end - 1} & set(range(backbone.end))):
        suffix = backbone.suffix(cut).train(training)
        whole = copy.deepcopy(backbone.model).requires_grad_(True).train(training)
        for name in moving(backbone, cut, inputs):
            whole.get_parameter(name).requires_grad_(False)
        for stage in backbone.stages[:cut]:
            for name in stage.modules:
                whole.get_submodule(name).eval().requires_grad_(False)
        ours, theirs = dict(suffix.model.named_parameters()), dict(whole.named_parameters())
        ours = {name: parameter for name, parameter in ours.items() if parameter.requires_grad}
        theirs = {name: parameter for name, parameter in theirs.items() if parameter.requires_grad}
        assert set(ours) == set(theirs)
        boundary = {"boundary": backbone.prefix(cut)(**inputs)}
        for model, parameters, given in ((suffix, ours, boundary), (whole, theirs, inputs)):
            torch.manual_seed(1)  # the same dropout on both sides
            optimiser = torch.optim.SGD(parameters.values(), lr=0.01)
            features = model(**given)["features"]
            (features * torch.linspace(-1, 1, features.numel()).view_as(features)).sum().backward()
            optimiser.step()
        trained = [name for name in ours if ours[name].grad is not None]
        assert trained == [name for name in ours if theirs[name].grad is not None]
        largest = max(float(theirs[name].grad.abs().max()) for name in trained)
        for name in trained:
            difference = float((ours[name].grad - theirs[name].grad).abs().max())
            assert difference <= 1e-5 * largest, f"gradient of {name} at cut {cut}"
        for name, value in suffix.model.state_dict().items():
            assert torch.allclose(value, whole.state_dict()[name], 1e-4, 1e-6 * largest), name


def test_names_are_those_of_the_network_and_groups_are_its_stages(backbone):
    whole = backbone.model.state_dict()
    for cut in range(backbone.end):
        suffix = backbone.suffix(cut)
        left = {
            name
            for name in whole
            if not any(
                name.startswith(f"{module}.")
                for stage in backbone.stages[:cut]
                for module in stage.modules
            )
        }
        assert set(suffix.model.state_dict()) == left
        groups = suffix.groups()
        assert [g for g in groups if g != "others"] == [s.name for s in backbone.stages[cut:]]
        grouped = [id(p) for group in groups.values() for p in group]
        assert len(grouped) == len(set(grouped))
        assert set(grouped) == {id(p) for p in suffix.model.parameters() if p.requires_grad}
    assert backbone.suffix(backbone.end).model.state_dict() == {}


def test_a_tuned_suffix_goes_back_into_the_backbone(backbone):
    inputs = inputs_for(backbone)
    with torch.no_grad():
        untouched = backbone.model(**inputs)["features"]
        for cut in range(backbone.end + 1):
            suffix = backbone.suffix(cut).eval()
            for parameter in suffix.parameters():
                if parameter.requires_grad:
                    parameter.mul_(1.01)
            tuned = backbone.with_suffix(suffix)
            boundary = backbone.prefix(cut)(**inputs)
            assert_close(tuned.model(**inputs)["features"], suffix(boundary)["features"])
            assert_close(
                tuned.prefix(cut)(**inputs)[next(iter(boundary))], next(iter(boundary.values()))
            )
            assert torch.equal(backbone.model(**inputs)["features"], untouched)


@pytest.mark.parametrize("cut", range(5))
def test_padding_changes_nothing_for_texts(shaken, cut):
    backbone = build("bert", "pooled", shaken)
    short = torch.tensor([[7, 8, 9]])
    padded = torch.tensor([[7, 8, 9, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7]])

    def features(ids):
        inputs = {"input_ids": ids, "attention_mask": (ids != 0).long()}
        with torch.no_grad():
            return backbone.suffix(cut).eval()(backbone.prefix(cut)(**inputs))["features"]

    assert_close(features(padded)[:1], features(short))


def test_pictures_are_normalised_inside_the_network(shaken):
    backbone = build("efficientnet", "pooled", shaken)
    pixels = inputs_for(backbone)["pixels"]
    mean, std = (torch.tensor(LOOKS[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        expected = backbone.model.network((pixels.float() / 255 - mean) / std)
        assert_close(backbone.model(pixels)["features"], expected)


@pytest.mark.parametrize(("name", "output"), ROWS, ids=IDS)
def test_width_is_the_number_of_channels_of_the_features(name, output, shaken):
    backbone = build(name, output, shaken)
    with torch.no_grad():
        features = backbone.model(**inputs_for(backbone))["features"]
    axis = {"pooled": 1, "map": 1, "sequence": 2}[output]
    assert features.shape[axis] == backbone.width
    assert features.ndim == {"pooled": 2, "map": 4, "sequence": 3}[output]
