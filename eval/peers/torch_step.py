"""The work of `tapestry bench` in PyTorch: a GPT-2 shaped model, forward to the loss or a whole training step.

Reads one JSON object from standard input (mode, device, precision, threads, n_layer, n_head, n_embd, n_inner, vocab_size,
seq_len, batch_size, warmup, repeats, learning_rate; compile, if the model is to be compiled) and writes one to standard
output: torch, seconds (median), fastest.
"""
import contextlib
import json
import math
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = (
            part.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(x).split(width, dim=2)
        )
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
            hidden = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
            y = scores.masked_fill(hidden, -math.inf).softmax(3) @ v
        return self.out(y.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    def __init__(self, width, inner, heads):
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x):
        x = x + self.attention(self.norm_1(x))
        return x + self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh"))


class Model(nn.Module):
    def __init__(self, shape):
        super().__init__()
        width = shape["n_embd"]
        self.embedding = nn.Embedding(shape["vocab_size"], width)
        self.positions = nn.Embedding(shape["seq_len"], width)
        self.blocks = nn.ModuleList(Block(width, shape["n_inner"], shape["n_head"]) for _ in range(shape["n_layer"]))
        self.norm = nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens, targets):
        x = self.embedding(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.embedding.weight)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def main():
    shape = json.load(sys.stdin)
    device = shape["device"]
    on_cuda = device == "cuda"
    torch.set_num_threads(shape["threads"])
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = shape["precision"] != "float32"
    model = Model(shape).to(device)
    size = (shape["batch_size"], shape["seq_len"])
    tokens, targets = (torch.randint(shape["vocab_size"], size, device=device) for _ in range(2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=shape["learning_rate"], **({"fused": True} if on_cuda else {}))
    if shape.get("compile"):
        model = torch.compile(model)

    def precision():
        if shape["precision"] == "bf16":
            return torch.autocast(device, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def forward():
        with torch.no_grad(), precision():
            model(tokens, targets)

    def train():
        with precision():
            loss = model(tokens, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    run = train if shape["mode"] == "train" else forward
    seconds = []
    for i in range(shape["warmup"] + shape["repeats"]):
        start = time.perf_counter()
        run()
        if on_cuda:
            torch.cuda.synchronize()
        if i >= shape["warmup"]:
            seconds.append(time.perf_counter() - start)
    json.dump({"torch": torch.__version__, "seconds": statistics.median(seconds), "fastest": min(seconds)}, sys.stdout)


if __name__ == "__main__":
    main()
