"""Whisper's decoder as a writer: the text of a recording, token by token.

Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022.
"""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from torch import Tensor, nn

from headstart.data.letters import letters_of, texts_of
from headstart.errors import SourceError
from headstart.sources.staged import Boundary
from headstart.sources.writing import Writer, search

START, END = "<|startoftranscript|>", "<|endoftext|>"
TRANSCRIBE, NO_TIMES = "<|transcribe|>", "<|notimestamps|>"
MULTILINGUAL = 51_865
"""Tokens from which on a Whisper knows more languages than English."""
_LANGUAGE = re.compile(r"<\|[a-z]{2,3}\|>")
RATE = 0.5
"""Tokens of a position of 20 milliseconds that a text has at most: more than can be spoken."""
LEAST = 4
"""Tokens that a text may have however short the recording is."""
MARGIN = 1.25
"""How much faster than the fastest of the training rows other rows may be spoken."""
SHORT, USUAL = 300, 0.25
"""Positions of a short recording, and tokens of each further one that a text may always have: where
short phrases are learnt from, most of their positions is silence that was added."""
OTHERS = 2_000
"""Tokens beside those of a batch that stand for the rest of the vocabulary in training."""
_FAR = -1e4
"""Added to what attention gives padding: in any precision nothing is left of it."""


class WhisperWriter(Writer):
    """Writes token by token; the keys and values of what stands there are remembered.

    Parameters
    ----------
    network
        transformers' decoder; its embedding of tokens is also the last layer, as in all Whispers.
    tokenizer
        The text of ``tokenizer.json``.
    """

    beams = 1
    language: Tensor
    rate: Tensor
    kept = ("network.embed_tokens", "network.embed_positions")

    def __init__(self, network: Any, tokenizer: str) -> None:
        super().__init__()
        from tokenizers import Tokenizer

        self.network = network
        self.tokenizer = Tokenizer.from_str(tokenizer)
        self.places = tuple(f"network.layers.{i}" for i in range(len(network.layers)))
        known = self.tokenizer.get_vocab()
        if START not in known or END not in known:
            raise SourceError(
                "the tokenizer of this Whisper has no token that begins or ends texts"
            )
        self.start, self.end = known[START], known[END]
        self.transcribe, self.no_times = known.get(TRANSCRIBE), known.get(NO_TIMES)
        several = network.embed_tokens.num_embeddings >= MULTILINGUAL
        languages = (number for t, number in known.items() if _LANGUAGE.fullmatch(t))
        self.languages = sorted(languages) if several else []
        self.register_buffer("language", torch.tensor(-1))
        self.register_buffer("rate", torch.tensor(RATE))

    @property
    def prompt(self) -> list[int]:
        """Return the tokens that stand before every text."""
        asked = [int(self.language), self.transcribe] if int(self.language) >= 0 else []
        return [token for token in (self.start, *asked, self.no_times) if token is not None]

    def begin(self, value: Boundary, letters: Tensor) -> None:
        """Settle the language, of those it knows the most probable one, and how fast is spoken."""
        states, absent = _seen(value)
        if self.languages:
            with torch.no_grad():
                begun = torch.full((len(states), 1), self.start, device=states.device)
                hidden = self._hidden(begun, states, absent, None)
                logs = self._logits(hidden[:, -1], self.languages).log_softmax(1).mean(0)
            self.language.fill_(self.languages[int(logs.argmax())])
        tokens = [len(text) - len(self.prompt) for text in self._tokens(texts_of(letters))]
        positions = value["attention_mask"].sum(1).tolist()
        fastest = max(count / place for count, place in zip(tokens, positions, strict=True))
        self.rate.fill_(min(RATE, MARGIN * fastest))

    def costs(self, value: Boundary, letters: Tensor) -> Tensor:
        """Return (rows,) how unexpected each text is, its mean over rows being that over tokens."""
        texts = self._tokens(texts_of(letters))
        longest = max(map(len, texts))
        tokens = torch.full((len(texts), longest), self.end)
        there = torch.zeros(len(texts), longest, dtype=torch.bool)
        for i, text in enumerate(texts):
            tokens[i, : len(text)] = torch.tensor(text)
            there[i, len(self.prompt) : len(text)] = True
        states, absent = _seen(value)
        device = states.device
        hidden = self._hidden(tokens[:, :-1].to(device), states, absent, None)
        asked = there[:, 1:].to(device)
        each = self._unexpected(hidden[asked], tokens[:, 1:].to(device)[asked])
        costs = torch.zeros(asked.shape, device=device).masked_scatter(asked, each)
        return costs.sum(1) * (len(costs) / asked.sum())

    def _unexpected(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """Return how unexpected each token is; in training estimated, by some others beside them.

        The other tokens are drawn evenly, and each stands for as many as were left out for it
        (Jean et al., On Using Very Large Target Vocabulary for Neural Machine Translation, 2015).
        """
        count = self.end + 1
        if not self.training or count <= 2 * OTHERS:
            return nn.functional.cross_entropy(self._logits(hidden), tokens, reduction="none")
        own, wanted = tokens.unique(return_inverse=True)
        drawn = torch.randperm(count)[: OTHERS + len(own)].to(tokens.device)
        others = drawn[~torch.isin(drawn, own)]
        logits = self._logits(hidden, torch.cat([own, others]))
        stands_for = (count - len(own)) / len(others)
        logits = torch.cat([logits[:, : len(own)], logits[:, len(own) :] + math.log(stands_for)], 1)
        return nn.functional.cross_entropy(logits, wanted, reduction="none")

    def forward(self, value: Boundary) -> Tensor:
        """Return what is written, (rows, letters)."""
        states, absent = _seen(value)
        rows, many = len(states), self.beams
        states, absent = (part.repeat_interleave(many, 0) for part in (states, absent))
        prompt = torch.tensor(self.prompt, device=states.device).expand(rows * many, -1)
        room = self.network.max_target_positions - prompt.shape[1]
        most = self.most(value["attention_mask"].sum(1).cpu()).clamp(max=room)
        past = _memory(self.network)

        def step(tokens: Tensor) -> Tensor:
            hidden = self._hidden(tokens.to(states.device), states, absent, past)
            return self._logits(hidden[:, -1]).float().log_softmax(1).cpu()

        with torch.no_grad():
            found = search(step, past.reorder_cache, prompt, self.end, most, many)
        texts = self.tokenizer.decode_batch(found, skip_special_tokens=True)
        return torch.from_numpy(letters_of([text.strip() for text in texts])).float()

    def most(self, positions: Tensor) -> Tensor:
        """Return (rows,) the tokens that texts of so many positions may have."""
        spoken = torch.maximum(self.rate.cpu() * positions, USUAL * (positions - SHORT))
        return (LEAST + spoken).long()

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        """Return prompt, text and end of each; what the network has no place for is left out."""
        room = self.network.max_target_positions - 1
        encoded = self.tokenizer.encode_batch(
            [f" {text}" for text in texts], add_special_tokens=False
        )
        return [[*[*self.prompt, *one.ids][:room], self.end] for one in encoded]

    def _hidden(self, tokens: Tensor, states: Tensor, absent: Tensor, past: Any) -> Tensor:
        """Return what the decoder makes of tokens (rows, n), after those that `past` remembers."""
        network = self.network
        before = past.get_seq_length() if past is not None else 0
        places = torch.arange(before, before + tokens.shape[1], device=tokens.device)
        hidden = network.embed_tokens(tokens) + network.embed_positions.weight[places]
        hidden = nn.functional.dropout(hidden, network.dropout, self.training)
        later = torch.arange(before + tokens.shape[1], device=tokens.device) > places[:, None]
        causal = (later * _FAR)[None, None].to(hidden.dtype)
        for layer in network.layers:
            hidden = layer(
                hidden,
                causal,
                encoder_hidden_states=states,
                encoder_attention_mask=absent,
                past_key_values=past,
            )
        found: Tensor = network.layer_norm(hidden)
        return found

    def _logits(self, hidden: Tensor, tokens: Tensor | list[int] | None = None) -> Tensor:
        """Return what speaks for each of some tokens; else for those of texts, and for the end."""
        weight = self.network.embed_tokens.weight
        return hidden @ (weight[: self.end + 1] if tokens is None else weight[tokens]).T


def mask_of_padding(attention_mask: Tensor, states: Tensor) -> Tensor:
    """Return what is added to the attention that is paid to states, so that padding gets none."""
    return (1 - attention_mask[:, None, None, :].to(states.dtype)) * _FAR


def _seen(value: Boundary) -> tuple[Tensor, Tensor]:
    """Return the encoder's states, and what is added to the attention that they are paid."""
    states = value["features"]
    return states, mask_of_padding(value["attention_mask"], states)


def _memory(network: Any) -> Any:
    from transformers.cache_utils import DynamicCache, EncoderDecoderCache

    return EncoderDecoderCache(DynamicCache(), DynamicCache())
