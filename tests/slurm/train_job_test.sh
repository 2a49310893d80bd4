#!/bin/bash
# jobs/slurm/train.sbatch on a SLURM started here, with a stand-in for the trainer: when it starts again, when it does not.
# usage: train_job_test.sh SOURCE_DIR
set -u
here=$(dirname "$(readlink -f "$0")")
. "$here/cluster.sh"
have_slurm || exit 77
source_dir=$1
d=$(mktemp -d /tmp/eddy-slurm-XXXXXX)
trap 'stop_cluster "$d"; rm -rf "$d"' EXIT
start_cluster "$d" || exit 1

# The stand-in: trainer --run.dir=DIR BEHAVIOUR; attempts are counted by SLURM.
cat > "$d/trainer" << 'EOF'
#!/bin/bash
run=${1#--run.dir=}
attempt=${SLURM_RESTART_COUNT:-0}
checkpoint() { [[ $SLURM_PROCID -eq 0 ]] && mkdir -p "$run/checkpoints/step-0000000$1"; }
until_signal() { for i in $(seq 200); do [[ $got ]] && return; sleep 0.1; done; exit 9; }
got=
case $2 in
  stop-once) # saves and stops on USR1, then ends
    [[ $attempt -gt 0 ]] && exit 0
    trap 'got=1' USR1
    [[ $SLURM_PROCID -eq 0 ]] && touch "$run/up"
    until_signal
    checkpoint 1
    exit 75 ;;
  crash-after-save) # fails twice, each time past a new checkpoint, then ends
    [[ $attempt -ge 2 ]] && exit 0
    checkpoint $((attempt + 1))
    exit 1 ;;
  crash-again) # fails past a checkpoint, then without another
    [[ $attempt -eq 0 ]] && checkpoint 1
    exit 3 ;;
  crash) exit 1 ;;
  unusable) exit 2 ;;
  stop-always) exit 75 ;;
  until-cancelled)
    trap 'got=1' TERM
    [[ $SLURM_PROCID -eq 0 ]] && touch "$run/up"
    until_signal
    checkpoint 1
    exit 75 ;;
esac
EOF
chmod +x "$d/trainer"
cd "$d" || exit 1

declare -A job
for behaviour in stop-once crash-after-save crash-again crash unusable stop-always until-cancelled; do
  job[$behaviour]=$(EDDY_TRAIN=$d/trainer sbatch --parsable --ntasks-per-node=2 --cpus-per-task=1 --time=5 \
    "$source_dir/jobs/slurm/train.sbatch" "$d/run-$behaviour" "$behaviour") || exit 1
done
wait_for() { local i; for i in $(seq 300); do [[ -e $1 ]] && return; sleep 0.1; done; echo "no $1"; }
wait_for "$d/run-stop-once/up"
sleep 0.5
scancel -b -s USR1 "${job[stop-once]}"
wait_for "$d/run-until-cancelled/up"
sleep 0.5
scancel "${job[until-cancelled]}"

failed=0
# expect BEHAVIOUR STATE RESTARTS LINE: how its job must end, and a line its log must hold
expect() {
  wait_job "${job[$1]}" 90 || failed=1
  local state restarts
  state=$(job_field "${job[$1]}" JobState) restarts=$(job_field "${job[$1]}" Restarts)
  if [[ $state == "$2" && $restarts == "$3" ]] && grep -q "$4" "$d"/*-"${job[$1]}".log; then
    echo "ok: $1: $state after $restarts restart(s)"
  else
    failed=1
    echo "FAILED: $1: $state after $restarts restart(s); expected $2 after $3, and '$4' in its log:"
    cat "$d"/*-"${job[$1]}".log
  fi
}
expect stop-once COMPLETED 1 'attempt 2: starts on 1 node(s), 2 rank(s), from step-00000001'
expect crash-after-save COMPLETED 2 'attempt 3: ranks ended with status 0'
expect crash-again FAILED 1 'failed without a newer checkpoint'
expect crash FAILED 0 'failed without a newer checkpoint'
expect unusable FAILED 0 'ranks ended with status 2'
expect stop-always FAILED 1 'stopped twice without a new checkpoint'
expect until-cancelled CANCELLED 0 'newest checkpoint: step-00000001'
exit "$failed"
