#!/usr/bin/env python3
"""Makes a golden file with transformers: what eddy-verify compares a model with (docs/golden.md).

    make_golden.py MODEL_DIR --out golden.safetensors        for a model that exists
    make_golden.py --random CONFIG.json --out-model DIR      makes a random model first, then DIR/golden.safetensors

Needs torch, transformers >= 5, safetensors; runs on the CPU in float32.
"""
import argparse
import os
import shutil

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, DeepseekV3ForCausalLM
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as deepseek

F = torch.nn.functional


class MultiTokenPrediction(torch.nn.Module):
    """The published layer: z_i = eh_proj [enorm(embed(t_{i+1})), hnorm(h_i)], h_i after the main model's final norm; position i;
    one decoder layer; shared_head.norm; the main head. transformers leaves it out."""

    def __init__(self, config):
        super().__init__()
        self.enorm = deepseek.DeepseekV3RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.hnorm = deepseek.DeepseekV3RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.eh_proj = torch.nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)
        self.layer = deepseek.DeepseekV3DecoderLayer(config, config.num_hidden_layers)
        self.norm = deepseek.DeepseekV3RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(self, main, ids, hidden):
        following = main.model.embed_tokens(ids[:, 1:])
        z = self.eh_proj(torch.cat([self.enorm(following), self.hnorm(hidden[:, :-1])], -1))
        positions = torch.arange(z.shape[1])[None]
        mask = torch.full((z.shape[1], z.shape[1]), float("-inf")).triu(1)[None, None]
        z = self.layer(z, attention_mask=mask, position_ids=positions, position_embeddings=main.model.rotary_emb(z, positions))
        return main.lm_head(self.norm(z[0] if isinstance(z, tuple) else z))


def hugging_face_name(own, layer):
    """Name of a parameter of MultiTokenPrediction in the files, experts stacked."""
    if own.startswith("layer."):
        return f"model.layers.{layer}.{own[len('layer.'):]}"
    return f"model.layers.{layer}.{'shared_head.norm.weight' if own == 'norm.weight' else own}"


def published_blocks(q, scales):
    """An FP8 matrix in BF16 as DeepSeek's fp8_cast_bf16.py and kernel.py make it: blocks of 128 x 128 from the first row and column
    on; those at the edges are smaller."""
    s = scales.float().repeat_interleave(128, 0)[: q.shape[0]].repeat_interleave(128, 1)[:, : q.shape[1]]
    return (q.float() * s).bfloat16()


def stored_tensors(folder):
    files = [f for f in os.listdir(folder) if f.startswith("model") and f.endswith(".safetensors")]
    return {k: v for f in sorted(files) for k, v in load_file(os.path.join(folder, f)).items()}


def load_tensors(folder):
    """The weights in float32, FP8 with its scales applied."""
    stored = stored_tensors(folder)
    value = lambda k, v: published_blocks(v, stored[k + "_scale_inv"]) if v.dtype == torch.float8_e4m3fn else v
    return {k: value(k, v).float() for k, v in stored.items() if not k.endswith("_scale_inv")}


def load_mtp(folder, config):
    """The layer with its weights, or nothing when the files lack them."""
    layer = config.num_hidden_layers
    stored = load_tensors(folder)
    if f"model.layers.{layer}.eh_proj.weight" not in stored:
        return None
    mtp = MultiTokenPrediction(config)
    state = {}
    for own in mtp.state_dict():
        name = hugging_face_name(own, layer)
        if name.endswith("experts.gate_up_proj"):
            part = lambda e, kind: stored[name.replace("gate_up_proj", f"{e}.{kind}_proj.weight")]
            state[own] = torch.stack([torch.cat([part(e, "gate"), part(e, "up")]) for e in range(config.n_routed_experts)])
        elif name.endswith("experts.down_proj"):
            state[own] = torch.stack([stored[name.replace("down_proj", f"{e}.down_proj.weight")] for e in range(config.n_routed_experts)])
        else:
            state[own] = stored[name]
    mtp.load_state_dict(state)
    return mtp


def make_random(config_file, folder, seed):
    """A model whose signals neither vanish nor saturate, and whose correction biases decide some routes."""
    config = AutoConfig.from_pretrained(config_file)
    torch.manual_seed(seed)
    model = DeepseekV3ForCausalLM(config)
    with torch.no_grad():
        for name, p in list(model.named_parameters()) + list(model.named_buffers()):
            if name.endswith("e_score_correction_bias"):
                p.normal_(0, 0.05)
            elif name.endswith("norm.weight") or name.endswith("layernorm.weight"):
                p.normal_(1, 0.1)
            elif "inv_freq" not in name:
                p.normal_(0, 1 if "embed" in name else p.shape[-1] ** -0.5)
    model.save_pretrained(folder)
    shutil.copy(config_file, os.path.join(folder, "config.json"))  # as it was spelt
    for extra in ("generation_config.json",):
        if os.path.exists(os.path.join(folder, extra)):
            os.remove(os.path.join(folder, extra))


def next_token_loss(logits, ids, ahead):
    """Mean cross-entropy of the tokens `ahead` places on, over all sequences."""
    return F.cross_entropy(logits[:, : ids.shape[1] - ahead].flatten(0, 1), ids[:, ahead:].flatten())


def make_golden(folder, arguments):
    config = AutoConfig.from_pretrained(folder)
    model = DeepseekV3ForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    mtp = load_mtp(folder, model.config)
    torch.manual_seed(arguments.seed + 1)
    ids = torch.randint(2, config.vocab_size, (arguments.sequences, arguments.tokens))
    out = {"input_ids": ids}
    hidden = model.model(ids, use_cache=False).last_hidden_state
    logits = model.lm_head(hidden)
    loss = next_token_loss(logits, ids, 1)
    out.update(logits=logits, loss=loss.reshape(1))
    total = loss
    if mtp is not None:
        mtp_logits = mtp(model, ids, hidden)
        mtp_loss = next_token_loss(mtp_logits, ids[:, 1:], 1)
        out.update(mtp_logits=mtp_logits, mtp_loss=mtp_loss.reshape(1), mtp_weight=torch.tensor([arguments.mtp_weight]))
        total = loss + arguments.mtp_weight * mtp_loss
    total.backward()
    for name, p in model.named_parameters():
        out["grad." + name] = p.grad
    for name, p in mtp.named_parameters() if mtp is not None else ():
        out["grad." + hugging_face_name(name, config.num_hidden_layers)] = p.grad
    if arguments.greedy:
        row = ids[:1, :8]
        with torch.no_grad():
            for _ in range(arguments.greedy):  # no cache: nothing but the forward pass above
                row = torch.cat([row, model(row, use_cache=False).logits[:, -1:].argmax(-1)], 1)
        out["greedy"] = row
    save_file({k: v.detach().contiguous() for k, v in out.items()}, arguments.out)
    print(f"{arguments.out}: loss {loss.item():.6f}" + (f", mtp_loss {mtp_loss.item():.6f}" if mtp is not None else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="Hugging Face folder")
    parser.add_argument("--random", help="config.json of a random model to be made first")
    parser.add_argument("--out-model", help="folder for the random model")
    parser.add_argument("--out", help="golden file; default: golden.safetensors beside the model")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--sequences", type=int, default=2)
    parser.add_argument("--greedy", type=int, default=24, help="tokens to generate after the first 8 of sequence 0")
    parser.add_argument("--mtp-weight", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if bool(arguments.model) == bool(arguments.random) or bool(arguments.random) != bool(arguments.out_model):
        parser.error("give a model's folder, or --random with --out-model")
    if arguments.random:
        make_random(arguments.random, arguments.out_model, arguments.seed)
    folder = arguments.model or arguments.out_model
    arguments.out = arguments.out or os.path.join(folder, "golden.safetensors")
    make_golden(folder, arguments)


if __name__ == "__main__":
    main()
