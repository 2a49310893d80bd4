#!/bin/bash
# jobs/slurm/train.sbatch with eddy-train itself: 4 ranks started by srun are stopped half way by USR1, save, and the job's
# second attempt trains to the end. usage: real_train_test.sh SOURCE_DIR BIN_DIR
set -u
here=$(dirname "$(readlink -f "$0")")
. "$here/cluster.sh"
source_dir=$1 bin=$2
begin_test eddy-train
# Documents of which a tokenizer and shards are made in a second.
for i in $(seq 400); do
  echo "{\"text\": \"document $i: $(seq -s ' ' "$i" $((i + 40)))\"}"
done > documents.jsonl
"$bin/eddy-shard" train-tokenizer --input documents.jsonl --vocab-size 512 --out tokenizer.json &&
  "$bin/eddy-shard" --input documents.jsonl --tokenizer tokenizer.json --out shards || fail "no shards"

steps=60
cat > run.ini << EOF
[model]
config = $source_dir/configs/model/demo.json
[data]
train = $d/shards
[train]
seq_len = 128
micro_batch = 2
global_batch = 8
steps = $steps
validation_rows = 4
[parallel]
tp = 2
pp = 2
EOF
start_cluster "$d" || exit 1
job=$(EDDY_TRAIN=$bin/eddy-train sbatch --parsable --ntasks-per-node=4 --cpus-per-task=1 --time=10 \
  "$source_dir/jobs/slurm/train.sbatch" "$d/run" --config "$d/run.ini") || fail "not submitted"
lines() { cat "$d/run/metrics.jsonl" 2> /dev/null | wc -l; }
for ((i = 0; i < 1200 && $(lines) < 5; ++i)); do sleep 0.1; done
[[ $(lines) -ge 5 ]] || fail "no step was done"
scancel -b -s USR1 "$job"
expect_two_attempts "$job"
# Every step once, in order: the second attempt went on where the first had stopped.
sed -n 's/.*"step": *\([0-9]*\).*/\1/p' "$d/run/metrics.jsonl" | cmp -s - <(seq "$steps") ||
  fail "the steps of metrics.jsonl are not 1 to $steps"
echo "ok: stopped by USR1, requeued, trained to step $steps"
