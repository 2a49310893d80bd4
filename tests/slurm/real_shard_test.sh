#!/bin/bash
# jobs/slurm/shard.sbatch with eddy-shard itself: 2 ranks started by srun are stopped half way by USR1, and the job's second
# attempt ends with the same shards as an undisturbed run on one rank. usage: real_shard_test.sh SOURCE_DIR BIN_DIR
set -u
here=$(dirname "$(readlink -f "$0")")
. "$here/cluster.sh"
source_dir=$1 bin=$2
begin_test eddy-shard
# Some seconds of work: 24 MB of words that no two lines share.
mkdir in
awk 'BEGIN { srand(7); for (f = 0; f < 12; ++f) { name = sprintf("in/%02d.jsonl", f)
  for (i = 0; i < 2000; ++i) { printf "{\"text\": \"" > name
    for (w = 0; w < 160; ++w) printf "w%d ", int(rand() * 1e6) > name
    printf "\"}\n" > name } } }'
"$bin/eddy-shard" train-tokenizer --input in/00.jsonl --vocab-size 512 --out tokenizer.json 2> /dev/null || fail "no tokenizer"
options=(--input "$d/in" --tokenizer "$d/tokenizer.json" --commit-seconds 0)
start_cluster "$d" || exit 1
job=$(EDDY_SHARD=$bin/eddy-shard sbatch --parsable --ntasks-per-node=2 --mem-per-cpu=100M --time=10 \
  "$source_dir/jobs/slurm/shard.sbatch" "${options[@]}" --out "$d/shards") || fail "not submitted"
for ((i = 0; i < 2400; ++i)); do
  [[ -s $d/shards/.partial/journal-00000 || -s $d/shards/.partial/journal-00001 ]] && break
  sleep 0.05
done
scancel -b -s USR1 "$job"
expect_two_attempts "$job"
grep -q 'goes on from an interrupted build' "$d"/eddy-shard-*.log || fail "the second attempt began anew"
"$bin/eddy-shard" "${options[@]}" --out "$d/alone" 2> alone.log || fail "no shards without SLURM: $(cat alone.log)"
diff -r "$d/shards" "$d/alone" > different || fail "the shards differ: $(cat different)"
# What cannot be used is not tried again.
job=$(EDDY_SHARD=$bin/eddy-shard sbatch --parsable --ntasks-per-node=2 --mem-per-cpu=100M --time=10 \
  "$source_dir/jobs/slurm/shard.sbatch" --input "$d/none" --tokenizer "$d/tokenizer.json" --out "$d/no") || fail "not submitted"
wait_job "$job" 60 || fail "the job did not end"
[[ $(job_field "$job" JobState) == FAILED && $(job_field "$job" Restarts) == 0 && $(job_field "$job" ExitCode) == 2:0 ]] ||
  fail "unusable input ended as $(job_field "$job" JobState) $(job_field "$job" ExitCode)"
echo "ok: stopped by USR1, requeued, ended with the shards of an undisturbed run"
