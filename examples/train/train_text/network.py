"""A transformer that reads characters and says which one comes next."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Network(nn.Module):
    """Blocks of attention and of a small network, between two tables of characters."""

    def __init__(
        self,
        *,
        characters: int,
        context: int,
        width: int,
        layers: int,
        heads: int,
        dropout: float,
    ) -> None:
        """Build it with random weights, from torch's own generator of the CPU."""
        super().__init__()
        self.characters = nn.Embedding(characters, width)
        self.places = nn.Embedding(context, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, characters)

    def forward(self, text: Tensor) -> Tensor:
        """Return, for each place of each row, the logits of the character that follows."""
        places = torch.arange(text.shape[1], device=text.device)
        x = self.dropout(self.characters(text) + self.places(places))
        logits: Tensor = self.out(self.norm(self.blocks(x)))
        return logits


class Block(nn.Module):
    """One layer: each place looks at those before it, then thinks for itself."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.thought = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer makes of `x`, of the same shape."""
        x = x + self.attention(self.first_norm(x))
        y: Tensor = x + self.thought(self.second_norm(x))
        return y


class Attention(nn.Module):
    """Causal attention of several heads, in plain operations.

    torch's fused attention is faster, but which of its versions runs, and whether its gradients
    are the same each time, depends on the GPU.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.drop_scores, self.drop_out = nn.Dropout(dropout), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mix of earlier places that each place asks for, of the same shape as `x`."""
        rows, places, width = x.shape
        split = self.into(x).view(rows, places, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) / math.sqrt(width // self.heads)
        later = torch.ones(places, places, dtype=torch.bool, device=x.device).triu(1)
        scores = scores.masked_fill(later, -math.inf).softmax(-1)
        mixed = (self.drop_scores(scores) @ value).transpose(1, 2).reshape(rows, places, width)
        y: Tensor = self.drop_out(self.out(mixed))
        return y
