#!/usr/bin/env python3
"""Which FP8 blocks does transformers read? Decides whether an FP8 folder or transformers is at fault where their logits differ
(docs/conversion.md):

    compare_fp8.py FP8_FOLDER [--bf16 BF16_FOLDER | --dequantised FILE.safetensors]

The same model, in transformers' own layers, with three sets of weights:
  published    q · scale of the block of 128 x 128 that the element lies in, as DeepSeek's fp8_cast_bf16.py and kernel.py have it
  transformers what `FineGrainedFP8Config(dequantize=True)` loads
  divided      q · scale with blocks of rows // scale rows by columns // scale columns
and with those of --bf16 or --dequantised, a BF16 folder or file of the same model (its values are compared bit for bit with the
published ones). Prints which weights differ, and the logits' relative differences. Exit 0: the published weights are the reference's
and transformers' logits are theirs; 3: transformers reads otherwise, and is the only one that does; 1: anything else, the folder
is at fault. Needs torch, transformers >= 5, accelerate, safetensors; no GPU and no network.
"""
import argparse
import sys

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoConfig, DeepseekV3ForCausalLM, FineGrainedFP8Config

from make_golden import published_blocks, stored_tensors

BLOCK = 128


def divided(q, scales):
    """As many equal blocks as there are scales. None where they do not divide: transformers then ends with an error."""
    (rows, cols), (m, n) = q.shape, scales.shape
    if rows % m or cols % n:
        return None
    s = scales.float().repeat_interleave(rows // m, 0).repeat_interleave(cols // n, 1)
    return (q.float() * s).bfloat16()


def dequantised(tensors, rule):
    out, refused = {}, []
    for name, t in tensors.items():
        if name.endswith("_scale_inv"):
            continue
        if t.dtype == torch.float8_e4m3fn:
            t = rule(t, tensors[name + "_scale_inv"])
            if t is None:
                refused.append(name)
        out[name] = t
    return out, refused


def assembled(config, tensors):
    """transformers' model with these weights, experts stacked as it has them. Returns what it lacks."""
    model = DeepseekV3ForCausalLM(config)  # float32, and so are the rotary frequencies
    state = {}
    for name in model.state_dict():
        if name.endswith("experts.gate_up_proj"):
            part = lambda e, kind: tensors[name.replace("gate_up_proj", f"{e}.{kind}_proj.weight")]
            state[name] = torch.stack([torch.cat([part(e, "gate"), part(e, "up")]) for e in range(config.n_routed_experts)])
        elif name.endswith("experts.down_proj"):
            state[name] = torch.stack([tensors[name.replace("down_proj", f"{e}.down_proj.weight")] for e in range(config.n_routed_experts)])
        else:
            state[name] = tensors[name]
    model.load_state_dict({k: v.float() for k, v in state.items()})
    return model.eval()


def relative(a, b):
    return ((a.float() - b.float()).norm() / b.float().norm()).item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="with FP8 weights and their scales")
    parser.add_argument("--bf16", help="folder of the same model in BF16")
    parser.add_argument("--dequantised", help="safetensors file with BF16 values of the FP8 weights")
    parser.add_argument("--tokens", type=int, default=48)
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()  # it lists the multi-token-prediction layer, which it leaves out
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    config = AutoConfig.from_pretrained(arguments.folder)
    config._attn_implementation = "eager"
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    torch.manual_seed(0)
    ids = torch.randint(2, config.vocab_size, (2, arguments.tokens))
    tensors = stored_tensors(arguments.folder)
    matrices = [k for k, v in tensors.items() if v.dtype == torch.float8_e4m3fn]
    ragged = [k for k in matrices if tensors[k].shape[0] % BLOCK or tensors[k].shape[1] % BLOCK]
    weights, _ = dequantised(tensors, published_blocks)
    wrong = False
    reference = load_file(arguments.dequantised) if arguments.dequantised else stored_tensors(arguments.bf16) if arguments.bf16 else {}
    if reference:
        other = [k for k in matrices if k not in reference or not torch.equal(reference[k], weights[k])]
        print(f"reference: {len(other)} of {len(matrices)} FP8 weights are not q * scale of their 128 x 128 block {other[:3]}")
        wrong |= bool(other)
    with torch.no_grad():
        expected = assembled(config, weights)
        logits = expected(ids, use_cache=False).logits
        own, refused = dequantised(tensors, divided)
        if refused:
            print(f"divided: {len(refused)} of {len(matrices)} matrices have sides that are no multiples of their scales', e.g. "
                  f"'{refused[0]}' {list(tensors[refused[0]].shape)} by {list(tensors[refused[0] + '_scale_inv'].shape)}: "
                  f"transformers refuses these")
        try:
            loaded, info = DeepseekV3ForCausalLM.from_pretrained(
                arguments.folder, dtype=torch.bfloat16, attn_implementation="eager", output_loading_info=True,
                quantization_config=FineGrainedFP8Config(dequantize=True))
        except Exception as e:  # whatever it is, it is transformers' answer
            print(f"transformers: {type(e).__name__}: {e}")
            sys.exit(1 if wrong else 3)
        mtp = f"model.layers.{config.num_hidden_layers}."
        lost = [str(k) for k in list(info["missing_keys"]) + list(info["mismatched_keys"])]
        lost += [k for k in info["unexpected_keys"] if not k.startswith(mtp)]
        print(f"transformers: {len(lost)} tensors missing or unknown {lost[:3]}")
        loaded = loaded.float().eval()
        got, want = loaded.state_dict(), expected.state_dict()
        differ = [k for k in want if not torch.equal(got[k], want[k])]
        print(f"transformers against published: {len(differ)} of {len(want)} weights differ {differ[:4]}; "
              f"logits differ by {relative(loaded(ids, use_cache=False).logits, logits):.3g} of their norm")
        explained = False
        if not refused:
            guess = assembled(config, own)
            state = guess.state_dict()
            still = [k for k in state if not torch.equal(got[k], state[k])]
            print(f"transformers against divided: {len(still)} of {len(want)} weights differ {still[:4]}; "
                  f"logits differ by {relative(loaded(ids, use_cache=False).logits, guess(ids, use_cache=False).logits):.3g} of their norm")
            explained = not still
    print(f"{len(ragged)} of {len(matrices)} FP8 matrices have a side that is no multiple of {BLOCK}")
    if wrong or lost:
        sys.exit(1)
    sys.exit(0 if not differ else 3 if explained else 1)


if __name__ == "__main__":
    main()
