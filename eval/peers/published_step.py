"""Forward passes of the models of the published Python study of BSBR (github.com/JacobFV/bsbr), without output layer.

Reads one JSON object from standard input (folder: its checkout, attention, threads, n_layer, n_head, n_embd, n_inner,
vocab_size, chunk, window, seq_len, repeats) and writes one to standard output: torch, seconds (median), fastest,
run_bytes (what the process grew by in a pass).
"""
import json
import pathlib
import statistics
import sys
import time

import torch


def make_model(shape):
    import bsbr
    import bsbr_extras

    common = {"vocab_size": shape["vocab_size"], "hidden_dim": shape["n_embd"], "num_layers": shape["n_layer"],
              "ff_dim": shape["n_inner"]}
    heads = {"num_heads": shape["n_head"]}
    chunk = {"chunk_size": shape["chunk"]}
    make = {
        "bsbr": lambda: bsbr.BSBRModel(**common, **heads, **chunk, compression_factor=2),
        "standard": lambda: bsbr_extras.StandardTransformerModel(**common, **heads),
        "sliding_window": lambda: bsbr_extras.SlidingWindowTransformerModel(**common, **heads,
                                                                           window_size=shape["window"]),
        "linear": lambda: bsbr_extras.LinearTransformerModel(**common, **heads),
        "delta_net": lambda: bsbr_extras.DeltaNetModel(**common, **heads, beta=0.9),
        "hopfield": lambda: bsbr_extras.HopfieldNetworkModel(**common, **heads, temperature=1.0),
        "gau": lambda: bsbr_extras.GAUModel(**common, **chunk, expansion_factor=2),
    }
    return make[shape["attention"]]().eval()


def resident_bytes(field):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def main():
    shape = json.load(sys.stdin)
    sys.path.insert(0, f"{shape['folder']}/src")
    torch.set_num_threads(shape["threads"])
    torch.manual_seed(0)
    model = make_model(shape)
    tokens = torch.randint(shape["vocab_size"], (1, shape["seq_len"]))
    mask = torch.ones(1, shape["seq_len"])
    seconds = []
    with torch.no_grad():
        before = resident_bytes("VmRSS")
        model(tokens, mask)
        run_bytes = resident_bytes("VmHWM") - before
        for _ in range(shape["repeats"]):
            start = time.perf_counter()
            model(tokens, mask)
            seconds.append(time.perf_counter() - start)
    json.dump({"torch": torch.__version__, "seconds": statistics.median(seconds), "fastest": min(seconds),
               "run_bytes": run_bytes}, sys.stdout)


if __name__ == "__main__":
    main()
