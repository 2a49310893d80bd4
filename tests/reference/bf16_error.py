#!/usr/bin/env python3
"""What bf16 costs transformers on a golden model, with the experts of its own float32 pass replayed.

usage: bf16_error.py MODEL_DIR...   each with config.json, model.safetensors, golden.safetensors

Prints the relative error of the logits, ||a - b|| / ||b|| against the golden ones, for free-running bf16 and for bf16
with the float32 pass's expert choices; beside `eddy-verify --train.dtype=bf16 --replay-routing=true` of the same model.
Needs torch, transformers (5 or newer) and safetensors; a GPU where there is one.
"""
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM


def routers(model):
    return [m for m in model.modules() if type(m).__name__ == "DeepseekV3TopkRouter"]


def run(folder, dtype, ids, device, record=None, replay=None):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(device).eval()
    changed = 0

    def hook(index):
        def after(module, inputs, outputs):
            nonlocal changed
            logits, weights, chosen = outputs
            if record is not None:
                record[index] = chosen
            if replay is not None:
                want = replay[index]
                changed += int((~(want[:, :, None] == chosen[:, None, :]).any(-1)).sum())
                scores = logits.sigmoid().gather(1, want)
                if module.norm_topk_prob:
                    scores = scores / (scores.sum(-1, keepdim=True) + 1e-20)
                return logits, scores * module.routed_scaling_factor, want
            return outputs

        return after

    for index, module in enumerate(routers(model)):
        module.register_forward_hook(hook(index))
    with torch.no_grad():
        return model(input_ids=ids).logits.float(), changed


def main():
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for folder in sys.argv[1:]:
        golden = load_file(os.path.join(folder, "golden.safetensors"))
        ids, want = golden["input_ids"].to(device), golden["logits"].to(device)
        error = lambda x: float((x - want).norm() / want.norm())
        choices = {}
        exact, _ = run(folder, torch.float32, ids, device, record=choices)
        free, _ = run(folder, torch.bfloat16, ids, device)
        replayed, changed = run(folder, torch.bfloat16, ids, device, replay=choices)
        print(f"{folder}: float32 {error(exact):.3e}, bf16 {error(free):.3e}, bf16 replayed {error(replayed):.3e} "
              f"({changed} choices would have changed)")


if __name__ == "__main__":
    main()
