"""Letters at positions: what is written, and what a text costs."""

from __future__ import annotations

import pytest
import torch

from headstart.data.letters import letters_of, texts_of
from headstart.sources.ctc import Ctc


@pytest.fixture
def head():
    """Return a head that says of each position the channel that is highest."""
    head = Ctc(4, " ab")
    with torch.no_grad():
        head.linear.weight.copy_(9 * torch.eye(4))
        head.linear.bias.zero_()
    return head.eval()


def value(*rows: list[int]) -> dict[str, torch.Tensor]:
    """Return features that say the given outputs, padded with ones that would say `a`."""
    longest = max(map(len, rows))
    said = torch.tensor([[*row, *[2] * (longest - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return {"features": torch.eye(4)[said], "attention_mask": mask}


def test_repetitions_are_one_letter_unless_something_stands_between(head):
    written = head(value([2, 2, 0, 2, 3, 1, 1, 3], [0, 0], [1, 2, 1]))
    assert texts_of(written) == ["aab b", "", "a"]


def test_a_text_costs_little_where_it_is_said(head):
    seen = value([2, 0, 3, 0], [2, 2, 3], [2])
    costs = head.costs(seen, torch.from_numpy(letters_of(["ab", "AB!", "ab"])))
    assert costs[0] < 0.01 and costs[1] < 0.01
    assert costs[2] == 0  # it has more letters than positions
    other = head.costs(seen, torch.from_numpy(letters_of(["ba", "ab", "a"])))
    assert other[0] > 5


def test_costs_are_those_of_torch_a_letter(head):
    seen = value([2, 0, 3, 0], [2, 3, 1, 3])
    texts = ["ab", "a b"]
    logs = head.linear(seen["features"]).log_softmax(2).transpose(0, 1)
    expected = torch.nn.functional.ctc_loss(
        logs,
        torch.tensor([2, 3, 2, 1, 3]),
        torch.tensor([4, 4]),
        torch.tensor([2, 3]),
        reduction="sum",
    )
    costs = head.costs(seen, torch.from_numpy(letters_of(texts)))
    torch.testing.assert_close(costs.mean(), expected / 5)
