#pragma once
// The part of `eddy-bench corpus` that makes shards: the whole stage of eddy-shard on the ranks of mpiexec.
#include <string>
#include <vector>

/// `eddy-bench corpus-stage [--growth N] [--json]`, under mpiexec: each phase's seconds on one rank alone and on all
/// together, by the clock and of processor time; every rank's peak of private memory, with `growth` also for a corpus
/// so many times as large. Returns the exit status.
int bench_corpus_stage(const std::vector<std::string>& arguments);
