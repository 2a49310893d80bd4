#!/bin/bash
# A SLURM cluster of one virtual node on this machine, without systemd: sourced by the tests.
# start_cluster DIR starts munged, slurmctld and slurmd with all their files below DIR and sets SLURM_CONF;
# stop_cluster DIR ends them.

have_slurm() {
  local program
  for program in munged slurmctld slurmd sbatch srun scontrol; do
    command -v "$program" > /dev/null || { echo "SKIPPED: $program is not installed (Debian, Ubuntu: slurmctld slurmd slurm-client munge)"; return 1; }
  done
  [[ $(id -u) -eq 0 ]] || { echo "SKIPPED: starting a SLURM cluster needs root"; return 1; }
}

start_cluster() {
  local d=$1 host port=$((20000 + $$ % 10000 * 2))
  host=$(hostname -s)
  mkdir -p "$d"/{munge,state,spool/n1,tmp/n1}
  chmod 700 "$d/munge"
  head -c 1024 /dev/urandom > "$d/munge/key"
  chmod 400 "$d/munge/key"
  munged --key-file="$d/munge/key" --socket="$d/munge/sock" --pid-file="$d/munge/pid" --log-file="$d/munge/log" \
    --seed-file="$d/munge/seed" --force || return 1
  # A virtual node has as many CPUs as it says; a requeued job waits for cred_expire seconds.
  cat > "$d/slurm.conf" << EOF
ClusterName=eddytest
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$d/munge/sock,cred_expire=5
CredType=cred/munge
StateSaveLocation=$d/state
SlurmdSpoolDir=$d/spool/%n
TmpFS=$d/tmp/%n
SlurmctldPidFile=$d/slurmctld.pid
SlurmdPidFile=$d/slurmd.pid
SlurmctldLogFile=$d/slurmctld.log
SlurmdLogFile=$d/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
ReturnToService=2
KillWait=5
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=16 RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes=n1 Default=YES MaxTime=INFINITE State=UP
EOF
  cat > "$d/cgroup.conf" << EOF
CgroupPlugin=cgroup/v1
CgroupAutomount=no
ConstrainCores=no
ConstrainDevices=no
ConstrainRAMSpace=no
ConstrainSwapSpace=no
EOF
  export SLURM_CONF=$d/slurm.conf
  slurmctld -i && slurmd -N n1 || return 1
  local i
  for i in $(seq 100); do
    [[ $(sinfo -h -o %t 2> /dev/null) == idle ]] && return 0
    sleep 0.1
  done
  echo "the node did not come up:"
  tail -n 20 "$d"/*.log
  return 1
}

stop_cluster() {
  local file pid i
  scancel --user=root 2> /dev/null
  for file in "$1"/slurmd.pid "$1"/slurmctld.pid "$1"/munge/pid; do
    pid=$(cat "$file" 2> /dev/null) || continue
    kill "$pid" 2> /dev/null
    for i in $(seq 100); do kill -0 "$pid" 2> /dev/null && sleep 0.1; done  # it writes its state before it ends
  done
  return 0
}

# job_field JOB NAME: a field of scontrol show job, e.g. JobState, Restarts, ExitCode
job_field() { scontrol show job "$1" | tr ' ' '\n' | sed -n "s/^$2=//p" | head -n 1; }

# wait_job JOB SECONDS: until the job has ended for good
wait_job() {
  local i
  for i in $(seq $(($2 * 5))); do
    case $(job_field "$1" JobState) in
      COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL) return 0 ;;
    esac
    sleep 0.2
  done
  echo "job $1 did not end in $2 s: $(job_field "$1" JobState) $(job_field "$1" Reason)"
  return 1
}

# begin_test PROGRAM: skips where there is no SLURM; else goes to a folder $d, gone at the end.
begin_test() {
  have_slurm || exit 77
  program=$1
  d=$(mktemp -d /tmp/eddy-slurm-XXXXXX)
  trap 'stop_cluster "$d"; rm -rf "$d"' EXIT
  cd "$d" || exit 1
}

fail() { # shows the logs of the program's jobs
  echo "FAILED: $*"
  cat "$d/$program"-*.log 2> /dev/null
  exit 1
}

# expect_two_attempts JOB: it was stopped by USR1, requeued, and has come to its end.
expect_two_attempts() {
  wait_job "$1" 200 || fail "the job did not end"
  [[ $(job_field "$1" JobState) == COMPLETED ]] || fail "the job ended as $(job_field "$1" JobState)"
  [[ $(job_field "$1" Restarts) == 1 ]] || fail "$(job_field "$1" Restarts) restarts, not 1"
  grep -q 'ranks ended with status 75' "$d/$program"-*.log || fail "the first attempt did not end with status 75"
  grep -q 'attempt 2: ranks ended with status 0' "$d/$program"-*.log || fail "the second attempt did not end with status 0"
}
