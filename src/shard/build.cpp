#include "shard/build.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "extract/pdf.h"
#include "io/file.h"
#include "shard/documents.h"
#include "shard/format.h"
#include "shard/gather.h"
#include "shard/inputs.h"
#include "shard/output.h"
#include "shard/spill.h"
#include "shard/tally.h"
#include "shard/writer.h"

namespace eddy::shard {
namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;
namespace {

/// The inputs as rank 0 finds them, on all ranks.
InputList share_inputs(comm::Communicator& world, const std::vector<std::string>& inputs) {
  InputList list;
  together(world, [&] {
    if (world.rank() == 0) list = list_inputs(inputs);
  });
  json j = json::array();
  for (const InputFile& f : list.files)
    j.push_back({f.path, f.name, f.root, static_cast<int>(f.kind), f.bytes, f.part});
  // File names are bytes: those that are not UTF-8 travel as they are in MessagePack.
  const std::string packed = tell(world, [&] {
    const auto bytes = json::to_msgpack(j);
    return std::string(bytes.begin(), bytes.end());
  }());
  if (world.rank() == 0) return list;
  for (const json& f : json::from_msgpack(packed))
    list.files.push_back({f.at(0), f.at(1), f.at(2), static_cast<extract::Kind>(f.at(3)), f.at(4), f.at(5)});
  return list;
}

/// Marks the .tex files that others draw in; each rank reads every size-th.
void mark_parts(comm::Communicator& world, std::vector<InputFile>& files) {
  std::vector<std::size_t> tex;
  for (std::size_t i = 0; i < files.size(); ++i)
    if (files[i].kind == extract::Kind::latex) tex.push_back(i);
  json mine = json::array();
  for (std::size_t t = static_cast<std::size_t>(world.rank()); t < tex.size();
       t += static_cast<std::size_t>(world.size())) {
    const InputFile& f = files[tex[t]];
    try {
      const extract::TexLinks links = extract::tex_links(f.path, f.root);
      json inputs = json::array();
      for (const fs::path& p : links.inputs) inputs.push_back(p.string());
      mine.push_back({t, links.main, inputs});
    } catch (const Error&) {  // unreadable: rejected with its reason when its turn comes
    }
  }
  const auto bytes = json::to_msgpack(mine);
  std::map<std::string, std::size_t> index;  // canonical path → number among the .tex files
  for (std::size_t t = 0; t < tex.size(); ++t) {
    std::error_code none;
    index[fs::canonical(files[tex[t]].path, none).string()] = t;
  }
  std::vector<bool> is_main(tex.size(), false);
  std::vector<std::vector<std::size_t>> inputs(tex.size());
  for (const std::string& packed : share(world, std::string(bytes.begin(), bytes.end()))) {
    for (const json& links : json::from_msgpack(packed)) {
      const std::size_t t = links.at(0);
      is_main[t] = links.at(1);
      for (const json& p : links.at(2))
        if (const auto found = index.find(p.get<std::string>()); found != index.end())
          inputs[t].push_back(found->second);
    }
  }
  const std::vector<bool> parts = extract::parts_of_others(is_main, inputs);
  for (std::size_t t = 0; t < tex.size(); ++t) files[tex[t]].part = parts[t];
}

/// Extracts, cleans and tokenizes this rank's units.
std::vector<DocumentRecord> work(comm::Communicator& world, const InputList& list, const std::vector<Unit>& units,
                                 std::uint64_t slice, tokenize::Tokenizer& tokenizer, SpillWriter& spill,
                                 Tally& tally) {
  std::vector<std::uint64_t> cost;
  for (const Unit& u : units)
    cost.push_back(std::min(u.end - u.begin, std::max(slice, list.files[u.file].bytes)) + 4096);
  const std::vector<int> rank_of = assign_units(cost, world.size());
  std::uint64_t total = 0, done = 0;
  for (std::size_t u = 0; u < units.size(); ++u) total += rank_of[u] == world.rank() ? cost[u] : 0;
  const std::string pdf = extract::pdf_program().string();
  Encoder encoder(tokenizer);
  std::vector<DocumentRecord> records;
  log::Progress progress("tokenize", total, "bytes");
  for (std::uint32_t u = 0; u < units.size(); ++u) {
    if (rank_of[u] != world.rank()) continue;
    std::uint32_t number = 0;
    const auto visit = [&](std::uint64_t line, const Document* document, const extract::Outcome& outcome) {
      tally.count(u, line, outcome);
      if (!document) return;
      const Encoder::Encoded e = encoder.encode(*document);
      records.push_back({document->hash(), e.ids.size(), spill.append(e.ids), u, number++, e.prompt,
                         static_cast<std::uint32_t>(world.rank())});
    };
    tally.count_lines(u, read_unit(list.files[units[u].file], units[u], pdf, visit));
    progress.update(done += cost[u], fmt::format("{} documents", records.size()));
  }
  spill.close();
  return records;
}

/// Writes the planned shards that are this rank's into the folder.
std::vector<ShardEntry> write_shards(comm::Communicator& world, const fs::path& folder,
                                     const std::vector<PlannedShard>& plan,
                                     const std::vector<std::vector<DocumentRecord>>& records, const InputList& list,
                                     const std::vector<Unit>& units, const tokenize::Tokenizer& tokenizer) {
  std::vector<ShardEntry> entries;
  SpillReader spills(folder);
  for (std::size_t mine = 0; mine < records.size(); ++mine) {
    const PlannedShard& shard =
        plan[mine * static_cast<std::size_t>(world.size()) + static_cast<std::size_t>(world.rank())];
    std::vector<ShardDocument> documents;
    std::vector<std::string> sources;
    std::map<std::uint32_t, std::uint32_t> source_of_file;
    for (const DocumentRecord& r : records[mine]) {
      const std::uint32_t file = units[r.unit].file;
      const auto [at, is_new] = source_of_file.try_emplace(file, static_cast<std::uint32_t>(sources.size()));
      if (is_new) sources.push_back(list.files[file].name);
      documents.push_back({r.tokens, r.prompt, at->second, r.hash});
    }
    entries.push_back(write_shard(folder / shard_file_name(shard.split, shard.index),
                                  {shard.split, shard.index, tokenizer.hash(), tokenizer.vocab_size()}, documents,
                                  sources, [&](std::size_t i) { return spills.tokens(records[mine][i]); }));
  }
  return entries;
}

/// The plan, which rank 0 has, on all ranks.
std::vector<PlannedShard> share_plan(comm::Communicator& world, std::vector<PlannedShard> plan) {
  static_assert(std::is_trivially_copyable_v<PlannedShard>);
  const std::string bytes =
      tell(world, std::string(reinterpret_cast<const char*>(plan.data()), plan.size() * sizeof(PlannedShard)));
  plan.resize(bytes.size() / sizeof(PlannedShard));
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(plan.data()));
  return plan;
}

std::vector<ShardEntry> share_entries(comm::Communicator& world, const std::vector<ShardEntry>& mine) {
  json j = json::array();
  for (const ShardEntry& e : mine)
    j.push_back(
        {e.file, static_cast<int>(e.split), e.counts.documents, e.counts.tokens, e.counts.targets, e.bytes, e.xxh3});
  std::vector<ShardEntry> all;
  for (const std::string& text : share(world, j.dump()))
    for (const json& e : json::parse(text))
      all.push_back({e.at(0), static_cast<Split>(e.at(1)), {e.at(2), e.at(3), e.at(4)}, e.at(5), e.at(6)});
  std::sort(all.begin(), all.end(), [](const ShardEntry& a, const ShardEntry& b) {
    return std::tie(a.split, a.file) < std::tie(b.split, b.file);
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
  report["options"] = {{"split.validation", o.split.validation},
                       {"split.test", o.split.test},
                       {"split.seed", o.split.seed},
                       {"shard_tokens", o.shard_tokens}};
  return report;
}

}  // namespace

Manifest build_dataset(comm::Communicator& world, const BuildOptions& o) {
  InputList list = share_inputs(world, o.inputs);
  std::optional<tokenize::Tokenizer> tokenizer;
  std::optional<OutputDirectory> out;
  together(world, [&] {
    tokenizer.emplace(tokenize::Tokenizer::load(o.tokenizer));
    split_of(0, o.split);
    if (world.rank() == 0) out.emplace(o.out, o.overwrite);
  });
  const fs::path partial = OutputDirectory::partial(o.out);
  mark_parts(world, list.files);
  const std::vector<Unit> units = make_units(list.files, o.slice_bytes);

  Tally tally;
  std::vector<DocumentRecord> records;
  together(world, [&] {
    SpillWriter spill(partial, static_cast<std::uint32_t>(world.rank()));
    records = work(world, list, units, o.slice_bytes, *tokenizer, spill, tally);
  });
  std::vector<std::string> tallies = share(world, tally.to_json().dump(-1, ' ', false, json::error_handler_t::replace));
  tally = {};
  for (const std::string& t : tallies) tally.add(Tally::from_json(json::parse(t)));
  Manifest manifest{.tokenizer_hash = tokenizer->hash(), .vocab_size = tokenizer->vocab_size(), .shards = {}};
  manifest.report = make_report(o, list, units, tally);
  if (tally.documents() == 0)
    fail_input("the inputs hold no usable document; rejected: {}", manifest.report.at("rejected").dump());

  records = collect(world, records);
  std::vector<PlannedShard> plan;
  if (world.rank() == 0) plan = plan_shards(records, o.split, o.shard_tokens);
  plan = share_plan(world, std::move(plan));
  const auto mine = hand_out(world, plan, records);
  records = {};
  std::vector<ShardEntry> entries;
  together(world, [&] { entries = write_shards(world, partial, plan, mine, list, units, *tokenizer); });
  manifest.shards = share_entries(world, entries);
  together(world, [&] {
    if (world.rank() == 0) out->commit(manifest, tokenizer->file_bytes());
  });
  return manifest;
}

}  // namespace eddy::shard
