#include "shard/build.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "io/file.h"
#include "shard/format.h"
#include "shard/gather.h"
#include "shard/lists.h"
#include "shard/output.h"
#include "shard/reading.h"
#include "shard/shared_inputs.h"
#include "shard/writing.h"

namespace eddy::shard {
namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;
namespace {

/// Names of the sets that the options make, by number.
std::vector<std::string> set_names(const BuildOptions& o) {
  if (o.pairs.kinds.empty() || o.pairs.together) return {""};
  return {kTextSet, kPairSet};
}

/// What two builds share that can go on from each other's work.
std::string fingerprint(const BuildOptions& o, const InputList& list, const tokenize::Tokenizer& tokenizer) {
  ordered_json j{{"version", EDDY_VERSION}, {"tokenizer", hex64(tokenizer.hash())}, {"options", o.to_json()}};
  j["slice_bytes"] = o.slice_bytes;
  j["record_bytes"] = sizeof(DocumentRecord);  // of another program's journals nothing can be made
  std::vector<std::string> files = o.decontaminate.files;
  files.push_back(o.pairs.templates.empty() ? default_templates().string() : o.pairs.templates);
  for (const std::string& file : files)
    if (!file.empty()) j["files"][file] = hex64(xxh3(io::read_file(file)));
  Xxh3Stream inputs;
  for (const InputFile& f : list.files) {
    std::error_code none;
    const auto changed = fs::last_write_time(f.path, none).time_since_epoch().count();
    inputs.update(f.path.data(), f.path.size() + 1);
    inputs.update(&f.bytes, sizeof f.bytes);
    inputs.update(&changed, sizeof changed);
  }
  j["inputs"] = hex64(inputs.digest());
  return j.dump(1, ' ', false, ordered_json::error_handler_t::replace);
}

/// Every rank's entries, by split and name.
std::vector<ShardEntry> share_entries(comm::Communicator& world, const std::vector<ShardEntry>& mine) {
  json j = json::array();
  for (const ShardEntry& e : mine)
    j.push_back({e.file, static_cast<int>(e.split), e.counts.documents, e.counts.tokens, e.counts.targets, e.bytes,
                 e.xxh3, e.set});
  std::vector<ShardEntry> all;
  for (const std::string& text : share(world, j.dump()))
    for (const json& e : json::parse(text))
      all.push_back({e.at(0), static_cast<Split>(e.at(1)), {e.at(2), e.at(3), e.at(4)}, e.at(5), e.at(6), e.at(7)});
  std::sort(all.begin(), all.end(), [](const ShardEntry& a, const ShardEntry& b) {
    return std::tie(a.set, a.split, a.file) < std::tie(b.set, b.split, b.file);
  });
  return all;
}

ordered_json make_report(const BuildOptions& o, const InputList& list, const std::vector<Unit>& units,
                         const Tally& tally) {
  std::map<std::string, std::uint64_t> kinds;
  std::uint64_t tex_parts = 0, pdf_of_tex = 0;
  for (const InputFile& f : list.files) {
    ++kinds[fs::path(f.path).extension().string()];
    tex_parts += f.part && f.kind == extract::Kind::latex;
    pdf_of_tex += f.part && f.kind == extract::Kind::pdf;
  }
  ordered_json report = tally.report(list.files, units);
  report["files"] = {{"read", kinds},
                     {"tex_parts_of_others", tex_parts},
                     {"pdf_beside_their_tex", pdf_of_tex},
                     {"skipped", list.skipped}};
  report["options"] = o.to_json();
  return report;
}

/// Takes the dropped documents out of the counts, and lists them.
std::vector<Drop> list_drops(const std::vector<DocumentRecord>& records, const std::vector<std::uint32_t>& kept,
                             const InputList& list, const std::vector<Unit>& units,
                             const std::vector<std::uint64_t>& lines_before, Tally& tally) {
  std::vector<Drop> drops;
  for (std::uint32_t i = 0; i < records.size(); ++i) {
    const DocumentRecord& r = records[i];
    if (r.dropped == Dropped::no) continue;
    const DocumentRecord& instead = records[kept[i]];
    drops.push_back({i, instead.unit, instead.line, r.dropped, r.owner != kNone});
    if (r.owner != kNone) {
      tally.count("pairs left out with their paper or as copies", 1);
      continue;
    }
    const std::uint64_t line = instead.line > 0 ? lines_before[instead.unit] + instead.line : 0;
    tally.withdraw(r.unit, r.line, drop_reason(r.dropped),
                   "kept: " + place_text(list.files[units[instead.unit].file].name, line));
  }
  return drops;
}

/// What became of each document, from the plan.
std::vector<Fate> fates_of(std::size_t documents, const Plan& plan) {
  std::vector<Fate> fates(documents);
  for (const PlannedShard& s : plan.shards)
    for (std::uint64_t i = s.begin; i < s.end; ++i) {
      Fate& f = fates[plan.order[i]];
      ++f.copies;
      f.split = s.split;
    }
  return fates;
}

/// Of a build with nothing left to write: rank 0 gives what names are missing, and all get the manifests.
std::vector<BuiltSet> finish_sets(comm::Communicator& world, std::optional<OutputDirectory>& out,
                                  const fs::path& where) {
  json told = json::array();
  together(world, [&] {
    if (!out) return;
    const bool was_complete = out->state() == OutputDirectory::State::complete;
    for (const BuiltSet& set : out->finish()) told.push_back({set.name, manifest_text(set.manifest)});
    if (was_complete) log::info("{}: complete, by this very command: nothing is to be done", where.string());
  });
  std::vector<BuiltSet> built;
  for (const json& set : json::parse(tell(world, told.dump())))
    built.push_back({set.at(0), parse_manifest(set.at(1), where.string())});
  return built;
}

}  // namespace

std::vector<BuiltSet> build_sets(comm::Communicator& world, const BuildOptions& given) {
  BuildOptions o = given;
  if (!o.grobid.url.empty())  // by every rank: each will ask it
    together(world, [&] { o.grobid_version = extract::Grobid(o.grobid, o.stop).version(); });
  const auto& phase = o.on_phase;
  phase("list");
  const InputList list = shared_inputs(world, o.inputs);
  const std::vector<std::string> sets = set_names(o);
  std::optional<tokenize::Tokenizer> tokenizer;
  std::optional<OutputDirectory> out;
  phase("open");
  together(world, [&] {
    tokenizer.emplace(tokenize::Tokenizer::load(o.tokenizer));
    split_of(0, o.split);
    o.dedup.minhash.validate();
    if (world.rank() == 0) {
      check_apart(o.inputs, o.out);
      out.emplace(o.out, o.overwrite, fingerprint(o, list, *tokenizer), *o.files);
    }
    phase("wait");
  });
  std::int32_t written = out && out->state() >= OutputDirectory::State::prepared;
  world.broadcast(&written, 1, Dtype::i32, 0);
  if (written) return finish_sets(world, out, o.out);
  const fs::path partial = OutputDirectory::partial(o.out);
  const std::vector<Unit> units = make_units(list.files, o.slice_bytes);
  try {
    phase("read");
    const std::uint64_t documents = read_units(world, partial, o, list, units, *tokenizer);
    phase("gather");
    ReadDocuments read = gather_documents(world, partial, units.size(), documents);
    if (read.tally.documents() == 0)
      fail_input("the inputs hold no usable document; rejected: {}",
                 make_report(o, list, units, read.tally).at("rejected").dump());
    phase("duplicates");
    std::vector<std::uint32_t> kept = find_duplicates(world, partial, o, read);

    std::vector<PlannedShard> shards;
    ordered_json report;
    Lists lists;
    phase(world.rank() == 0 ? "plan" : "wait");
    together(world, [&] {
      if (world.rank() != 0) return;
      const std::vector<std::uint64_t> lines_before = read.tally.lines_before(units);
      const std::vector<Drop> drops = list_drops(read.records, kept, list, units, lines_before, read.tally);
      std::vector<std::uint32_t>().swap(kept);
      Plan plan = plan_shards(read.records, o.split, o.shard_tokens);
      const std::vector<Fate> fates = fates_of(read.records.size(), plan);
      write_plan(partial, read.records, plan.order);
      std::vector<DocumentRecord>().swap(read.records);
      shards = std::move(plan.shards);
      std::vector<std::uint32_t>().swap(plan.order);
      phase("lists");
      lists = write_lists(partial, {list, units, read.places, read.first, lines_before, fates, drops, o.task_field,
                                    o.split.test > 0 ? Split::test : Split::validation});
      report = make_report(o, list, units, read.tally);
      report["balance"] = lists.balance;
      if (!o.task_field.empty()) report["questions"] = lists.questions;
      for (const std::string& set : sets) fs::create_directories(partial / set);
      phase("wait");
    });
    shards = from_bytes<PlannedShard>(tell(world, as_bytes(shards)));
    phase("write");
    std::vector<ShardEntry> entries =
        write_shards(world, {partial, sets, shards, list, units, read.places, *tokenizer, phase});
    entries = share_entries(world, entries);
    phase(world.rank() == 0 ? "names" : "wait");

    together(world, [&] {
      if (world.rank() != 0) return;
      std::vector<BuiltSet> built;
      for (std::size_t s = 0; s < sets.size(); ++s) {
        BuiltSet set{sets[s],
                     {.tokenizer_hash = tokenizer->hash(), .vocab_size = tokenizer->vocab_size(), .shards = {}}};
        for (const ShardEntry& e : entries)
          if (e.set == s) set.manifest.shards.push_back(e);
        set.manifest.report = report;
        if (!set.manifest.shards.empty()) built.push_back(std::move(set));
      }
      out->prepare(built, lists.files, tokenizer->file_bytes());
    });
    return finish_sets(world, out, o.out);
  } catch (const Error& e) {
    if (out && e.status() != Exit::unusable) out->keep();
    throw;
  }
}

Manifest build_dataset(comm::Communicator& world, const BuildOptions& options) {
  if (set_names(options).size() != 1) fail_run("these options make two directories of shards");
  return build_sets(world, options).at(0).manifest;
}

}  // namespace eddy::shard
