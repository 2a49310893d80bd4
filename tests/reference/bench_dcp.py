#!/usr/bin/env python3
"""Saving by PyTorch's torch.distributed.checkpoint: the same bytes, ranks and disk as `eddy-bench checkpoint`.

    torchrun --nproc-per-node 4 tests/reference/bench_dcp.py --dir DIR --bytes 4e9
    mpirun -n 4 eddy-bench checkpoint --dir DIR --bytes 4GB

Each rank holds its rows of 24 matrices of 4,096 columns in float32, sharded over the ranks (DTensor), as Eddy's ranks
do. Files are synced before the clock stops: DCP's FileSystemWriter does so by itself. Needs PyTorch with gloo; no GPU.
"""

import argparse
import json
import os
import shutil
import statistics
import time

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard

COLUMNS, TENSORS = 4096, 24


def slowest(seconds):
    t = torch.tensor([seconds], dtype=torch.float64)
    dist.all_reduce(t, dist.ReduceOp.MAX)
    return t.item()


def timed(work):
    dist.barrier()
    start = time.perf_counter()
    work()
    return slowest(time.perf_counter() - start)


def forget(folder):
    for base, _, names in os.walk(folder):
        for name in names:
            fd = os.open(os.path.join(base, name), os.O_RDONLY)
            os.fdatasync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", required=True, help="a folder on the file system to measure")
    parser.add_argument("--bytes", type=float, default=1e9, help="of the state, all ranks together")
    parser.add_argument("--passes", type=int, default=5)
    args = parser.parse_args()
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    mesh = init_device_mesh("cpu", (ranks,))
    rows = int(args.bytes / (TENSORS * COLUMNS * 4)) // ranks * ranks
    state = {
        f"layer.{i}.weight": DTensor.from_local(torch.rand(rows // ranks, COLUMNS), mesh, [Shard(0)])
        for i in range(TENSORS)
    }
    path = os.path.join(args.dir, "bench-dcp")
    save_s, load_s = [], []
    for _ in range(args.passes):
        if rank == 0:
            shutil.rmtree(path, ignore_errors=True)
        save_s.append(timed(lambda: dcp.save(state, checkpoint_id=path)))
        if rank == 0:
            forget(path)
        load_s.append(timed(lambda: dcp.load(state, checkpoint_id=path)))
    if rank == 0:
        shutil.rmtree(path)
        size = rows * COLUMNS * 4 * TENSORS
        print(
            json.dumps(
                {
                    "torch": torch.__version__,
                    "ranks": ranks,
                    "bytes": size,
                    "save_s": statistics.median(save_s),
                    "load_s": statistics.median(load_s),
                    "save_gb_per_s": size / statistics.median(save_s) * 1e-9,
                    "load_gb_per_s": size / statistics.median(load_s) * 1e-9,
                }
            )
        )
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
