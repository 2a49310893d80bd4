#!/bin/bash
# jobs/slurm/crawl.sbatch with stand-ins for srun, scontrol and eddy-crawl: a crawl that was stopped is queued again, one
# that is done, failed or cancelled is not. Needs no SLURM.
set -u
script=$1/jobs/slurm/crawl.sbatch
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/bin"
cat > "$dir/bin/srun" << 'EOF'
#!/bin/bash
echo "srun $*" >> "$LOG"
trap 'exit 75' USR1
for ((i = 0; i < ${TICKS:-0}; ++i)); do sleep 0.1; done
exit "${STATUS:-0}"
EOF
printf '#!/bin/bash\necho "scontrol $*" >> "$LOG"\n' > "$dir/bin/scontrol"
printf '#!/bin/bash\n' > "$dir/bin/eddy-crawl"
chmod +x "$dir"/bin/*
export PATH=$dir/bin:$PATH LOG=$dir/log SLURM_JOB_ID=7 SLURM_NTASKS=4

failures=0
check() { # what, wanted, got
  [[ $2 == "$3" ]] && return
  echo "FAILED: $1: wanted '$2', got '$3'"
  failures=$((failures + 1))
}
requeued() { grep -c '^scontrol requeue 7$' "$LOG"; }
attempt() { # status of srun
  : > "$LOG"
  STATUS=$1 bash "$script" "$dir/store" --walk.depth=1 > "$dir/out" 2>&1
  status=$?
}
for s in 0 1 2; do
  attempt "$s"
  check "status $s" "$s" "$status"
  check "status $s is not queued again" 0 "$(requeued)"
done
check "srun's arguments" 1 "$(grep -c -- "eddy-crawl --out=$dir/store --walk.depth=1" "$LOG")"
attempt 75
check "stopped" 75 "$status"
check "stopped is queued again" 1 "$(requeued)"
bash "$script" > "$dir/out" 2>&1
check "no store" 2 $?

for signal in USR1 TERM; do # USR1 reaches the ranks through the script; scancel is final
  : > "$LOG"
  TICKS=30 STATUS=75 bash "$script" "$dir/store" > "$dir/out" 2>&1 &
  job=$!
  until grep -q srun "$LOG"; do sleep 0.05; done
  sleep 0.3
  kill -"$signal" "$job"
  wait "$job"
  check "$signal: status" 75 $?
  check "$signal: queued again" $([[ $signal == USR1 ]] && echo 1 || echo 0) "$(requeued)"
done
[[ $failures -eq 0 ]] && echo "all held"
exit $((failures > 0))
