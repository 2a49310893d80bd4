#!/usr/bin/env python3
"""Loads exported folders (BF16, FP8 or float32) in transformers, and makes of each a golden file that eddy-verify compares
Eddy's own logits, losses and gradients with (docs/golden.md):

    eddy-convert to-hf --in CHECKPOINT --out bf16 --dtype bf16
    eddy-convert to-hf --in CHECKPOINT --out fp8 --dtype fp8
    load_export.py bf16 fp8 --out golden [--eddy-verify build/cpu/bin/eddy-verify]

Writes golden/NAME.safetensors for each folder NAME. Where eddy-verify is not at hand, run it elsewhere:
`eddy-verify --model bf16 --golden golden/bf16.safetensors`. FP8 weights are dequantised to BF16 while transformers loads them, by
the published blocks of 128 x 128: its own rule (up to 5.24 at least) takes as many equal blocks as there are scales, which is wrong
where a side is no multiple of 128 (compare_fp8.py shows it). Computed in float32.
Exit 1 when transformers misses or ignores a tensor of the main model, when it alters a router's bias or a dequantised weight, or
when eddy-verify finds a difference. Needs torch, transformers >= 5, safetensors; no GPU.
"""
import argparse
import json
import os
import subprocess
import sys

import torch
from safetensors.torch import save_file
from transformers import DeepseekV3ForCausalLM

from make_golden import hugging_face_name, load_mtp, load_tensors, next_token_loss, published_blocks


def load(folder):
    """The model in float32 with the values that the folder stands for, and what is wrong with it."""
    options = {"dtype": torch.float32}
    config = json.load(open(os.path.join(folder, "config.json")))
    if "quantization_config" in config:
        from transformers import FineGrainedFP8Config
        from transformers.integrations.finegrained_fp8 import Fp8Dequantize
        Fp8Dequantize._dequantize_one = lambda self, q, scales, output_dtype=None: published_blocks(q, scales)
        # to bfloat16 first: that is what the published script makes of FP8
        options = {"dtype": torch.bfloat16, "quantization_config": FineGrainedFP8Config(dequantize=True)}
    model, info = DeepseekV3ForCausalLM.from_pretrained(folder, attn_implementation="eager", output_loading_info=True, **options)
    mtp = f"model.layers.{model.config.num_hidden_layers}."  # transformers leaves it out
    wrong = [str(k) for k in list(info["missing_keys"]) + list(info["mismatched_keys"])]
    wrong += [k for k in info["unexpected_keys"] if not k.startswith(mtp)]
    stored = load_tensors(folder)
    # experts are stacked there, and have no tensor of this name
    wrong += [k for k, v in model.state_dict().items() if k in stored and not torch.equal(v.float(), stored[k])]
    return model.float().eval(), wrong


def make(folder, out, arguments):
    model, wrong = load(folder)
    torch.manual_seed(arguments.seed)
    ids = torch.randint(2, model.config.vocab_size, (arguments.sequences, arguments.tokens))
    hidden = model.model(ids, use_cache=False).last_hidden_state
    logits = model.lm_head(hidden)
    total = loss = next_token_loss(logits, ids, 1)
    golden = {"input_ids": ids, "logits": logits, "loss": loss.reshape(1)}
    mtp = load_mtp(folder, model.config)
    if mtp is not None:
        mtp_logits = mtp(model, ids, hidden)
        mtp_loss = next_token_loss(mtp_logits, ids[:, 1:], 1)
        golden.update(mtp_logits=mtp_logits, mtp_loss=mtp_loss.reshape(1), mtp_weight=torch.tensor([0.3]))
        total = loss + 0.3 * mtp_loss
    total.backward()
    golden.update({"grad." + name: p.grad for name, p in model.named_parameters()})
    for name, p in mtp.named_parameters() if mtp is not None else ():
        golden["grad." + hugging_face_name(name, model.config.num_hidden_layers)] = p.grad
    save_file({k: v.detach().contiguous() for k, v in golden.items()}, out)
    print(f"{folder}: loss {loss.item():.6f}{f', mtp_loss {mtp_loss.item():.6f}' if mtp is not None else ''}; "
          f"{len(wrong)} tensors missing, unknown or altered {wrong[:3]}; {out}")
    return bool(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="+", help="exported by eddy-convert to-hf")
    parser.add_argument("--out", required=True, help="folder for the golden files")
    parser.add_argument("--eddy-verify", help="the program, run on each folder")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--sequences", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    failed = False
    for folder in arguments.folder:
        golden = os.path.join(arguments.out, os.path.basename(os.path.normpath(folder)) + ".safetensors")
        failed |= make(folder, golden, arguments)
        if arguments.eddy_verify:
            failed |= subprocess.run([arguments.eddy_verify, "--model", folder, "--golden", golden]).returncode != 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
