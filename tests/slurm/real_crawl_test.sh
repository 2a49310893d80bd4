#!/bin/bash
# jobs/slurm/crawl.sbatch with eddy-crawl itself against the tests' server: 4 ranks started by srun are stopped half way by
# USR1, and the job's second attempt ends with the papers of an undisturbed crawl, with nothing asked twice but what was
# under way. usage: real_crawl_test.sh SOURCE_DIR BIN_DIR
set -u
here=$(dirname "$(readlink -f "$0")")
. "$here/cluster.sh"
source_dir=$1 bin=$2
begin_test eddy-crawl
trap 'kill "$server" 2> /dev/null; stop_cluster "$d"; rm -rf "$d"' EXIT
"$bin/../tests/crawl-test-server" "$d/port" "$d/log" 60 none &
server=$!
for ((i = 0; i < 400; ++i)); do
  [[ -s $d/port ]] && break
  sleep 0.05
done
options=(--from 2101.00001 10.5555/test.3 --contact=tester@example.org --net.host_interval_s=0.02 --walk.depth=2)
for name in s2 arxiv crossref openalex unpaywall; do
  options+=("--api.$name.url=http://127.0.0.1:$(cat "$d/port")/$name" "--api.$name.interval_s=0.05")
done
asked() { wc -l < "$d/log"; }

OMPI_MCA_rmaps_base_oversubscribe=1 mpiexec -n 2 "$bin/eddy-crawl" --out "$d/undisturbed" "${options[@]}" 2> undisturbed.log ||
  fail "no crawl without SLURM: $(cat undisturbed.log)"
questions=$(asked)
start_cluster "$d" || exit 1
job=$(EDDY_CRAWL=$bin/eddy-crawl sbatch --parsable --ntasks=4 --mem-per-cpu=100M --time=10 \
  "$source_dir/jobs/slurm/crawl.sbatch" "$d/store" "${options[@]}") || fail "not submitted"
for ((i = 0; i < 2400 && $(asked) < questions + questions / 3; ++i)); do sleep 0.05; done
scancel -b -s USR1 "$job"
expect_two_attempts "$job"
cmp -s "$d/undisturbed/papers.jsonl" "$d/store/papers.jsonl" || fail "the papers are not those of an undisturbed crawl"
[[ $(asked) -eq $((2 * questions)) ]] || fail "$(($(asked) - questions)) questions, not $questions: some were asked twice"
# A crawl that reaches nothing fails, and is not tried again.
kill "$server"
wait "$server" 2> /dev/null
job=$(EDDY_CRAWL=$bin/eddy-crawl sbatch --parsable --ntasks=4 --mem-per-cpu=100M --time=10 \
  "$source_dir/jobs/slurm/crawl.sbatch" "$d/nothing" "${options[@]}" --retry.attempts=1 --walk.depth=0) || fail "not submitted"
wait_job "$job" 60 || fail "the job did not end"
[[ $(job_field "$job" JobState) == FAILED && $(job_field "$job" Restarts) == 0 && $(job_field "$job" ExitCode) == 1:0 ]] ||
  fail "a crawl that reached nothing ended as $(job_field "$job" JobState) $(job_field "$job" ExitCode)"
grep -q 'no server could be reached' "$d/eddy-crawl-$job.log" || fail "it does not say that nothing was reached"
echo "ok: stopped by USR1, requeued, ended with the papers of an undisturbed crawl"
