#!/usr/bin/env python3
"""Loads an exported folder in transformers and compares its logits (and loss) with a golden file's (docs/golden.md):

    eddy-convert to-hf --in CHECKPOINT --out EXPORTED
    check_export.py EXPORTED golden.safetensors [--tolerance 1e-5]

Exit 1 over tolerance, or when transformers misses or ignores a tensor of the main model. Needs torch, transformers >= 5.
"""
import argparse
import sys

import torch
from safetensors.torch import load_file
from transformers import DeepseekV3ForCausalLM


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("golden")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="largest |difference| of a logit and of the loss")
    arguments = parser.parse_args()
    golden = load_file(arguments.golden)
    model, info = DeepseekV3ForCausalLM.from_pretrained(
        arguments.folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    mtp = f"model.layers.{model.config.num_hidden_layers}."  # transformers leaves it out
    unexpected = [k for k in info["unexpected_keys"] if not k.startswith(mtp)]
    wrong = list(info["missing_keys"]) + list(info["mismatched_keys"]) + unexpected
    ids = golden["input_ids"]
    with torch.no_grad():
        logits = model.eval()(ids, use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    logits_error = (logits - golden["logits"]).abs().max().item()
    loss_error = (loss - golden["loss"][0]).abs().item()
    print(f"{arguments.folder}: largest difference of logits {logits_error:.3e}, of the loss {loss_error:.3e}; "
          f"{len(wrong)} tensors missing or unknown {wrong[:3]}")
    sys.exit(bool(wrong) or not max(logits_error, loss_error) <= arguments.tolerance)


if __name__ == "__main__":
    main()
