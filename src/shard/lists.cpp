#include "shard/lists.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/error.h"
#include "io/file.h"
#include "shard/manifest.h"

namespace eddy::shard {
namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;
namespace {

/// A file of JSON lines, written as it comes.
class LineFile {
 public:
  explicit LineFile(const fs::path& path) : file_(path) {}
  void add(const ordered_json& j) {
    buffer_ += j.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
    buffer_ += '\n';
    if (buffer_.size() > (std::size_t{1} << 20)) flush();
  }
  void commit() {
    flush();
    file_.commit();
  }

 private:
  void flush() {
    file_.write(buffer_);
    buffer_.clear();
  }
  io::AtomicFile file_;
  std::string buffer_;
};

using BySplit = std::array<Counts, 3>;

ordered_json balance_json(const std::map<std::string, BySplit>& of) {
  ordered_json out = ordered_json::object();
  for (const auto& [name, by_split] : of) {
    ordered_json entry = ordered_json::object();
    for (std::size_t s = 0; s < 3; ++s)
      if (by_split[s].documents > 0)
        entry[std::string(kSplitNames[s])] = {{"documents", by_split[s].documents}, {"tokens", by_split[s].tokens}};
    if (!entry.empty()) out[name] = entry;
  }
  return out;
}

/// A store or .jsonl file by its name; other files by the input folder they were found under.
std::string source_group(const InputFile& f) {
  return f.kind == extract::Kind::jsonl ? f.name : f.name.substr(0, f.name.find('/'));
}

/// Keys of a paper in the order people read them.
ordered_json ordered(const json& paper) {
  ordered_json out;
  for (const char* key : {"id", "title", "authors", "doi", "arxiv", "s2", "openalex", "date", "year", "venue", "fields",
                          "licence", "source", "grobid"})
    if (paper.contains(key)) out[key] = paper.at(key);
  return out;
}

std::string file_name_of(const std::string& field) {
  std::string out = "task-";
  if (field == "*") return out + "all.jsonl";
  for (const char c : field) {
    const char l = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    out += (l >= 'a' && l <= 'z') || (l >= '0' && l <= '9') || l == '.' || l == '-' ? l : '-';
  }
  return out + ".jsonl";
}

}  // namespace

std::string drop_reason(Dropped why) {
  switch (why) {
    case Dropped::exact_duplicate:
      return "duplicate: exact";
    case Dropped::near_duplicate:
      return "duplicate: near";
    case Dropped::same_paper:
      return "duplicate: same paper";
    case Dropped::no:
      break;
  }
  return "";
}

Lists write_lists(const fs::path& folder, const ListInputs& in) {
  Lists out;
  out.files = {"manifest.jsonl", "rejected.jsonl"};
  LineFile manifest(folder / out.files[0]), rejected(folder / out.files[1]);
  std::optional<LineFile> task;
  if (!in.task_field.empty()) {
    out.files.push_back(file_name_of(in.task_field));
    task.emplace(folder / out.files[2]);
  }
  std::map<std::string, BySplit> by_kind, by_source, by_field, by_licence;
  auto drop = in.drops.begin();
  for (const JournalPlace& place : in.places) {
    const UnitResult unit = read_entry(folder, place);
    const InputFile& file = in.list.files[in.units[place.unit].file];
    const auto where = [&](std::uint32_t u, std::uint64_t line) {
      return place_text(in.list.files[in.units[u].file].name, line > 0 ? in.lines_before[u] + line : 0);
    };
    struct OfPaper {
      std::uint64_t documents = 0, tokens = 0;
      std::map<std::string, std::uint64_t> by_kind{};
      Split split = Split::train;
    };
    std::vector<OfPaper> papers(unit.papers.size());
    for (const json& r : unit.rejections) {
      ordered_json line{{"where", where(place.unit, r.at("line"))}};
      for (const char* key : {"id", "reason", "detail"})
        if (r.contains(key)) line[key] = r.at(key);
      rejected.add(line);
    }
    for (const DocumentRecord& r : unit.records) {
      const std::uint64_t document = in.first[place.unit] + r.number;
      if (drop != in.drops.end() && drop->document == document) {
        if (!drop->of_pair) {
          ordered_json line{{"where", where(r.unit, r.line)}};
          if (r.paper != kNone && unit.papers[r.paper].contains("id")) line["id"] = unit.papers[r.paper].at("id");
          line["reason"] = drop_reason(drop->why);
          line["detail"] = "kept: " + where(drop->unit, drop->line);
          rejected.add(line);
        }
        ++drop;
        continue;
      }
      const Fate fate = in.fates[document];
      if (fate.copies == 0) continue;
      const Counts counts{fate.copies, r.tokens * fate.copies, 0};
      const auto split = static_cast<std::size_t>(fate.split);
      const std::string kind(kind_name(r.kind));
      by_kind[kind][split] += counts;
      by_source[source_group(file)][split] += counts;
      std::string field = "unknown", licence = "unknown";
      if (r.paper != kNone) {
        const json& paper = unit.papers[r.paper];
        if (paper.contains("fields") && paper.at("fields").is_array() && !paper.at("fields").empty() &&
            paper.at("fields")[0].is_string())
          field = paper.at("fields")[0];
        licence = paper.at("licence");
        OfPaper& p = papers[r.paper];
        ++p.documents;
        p.tokens += r.tokens;
        p.by_kind[kind] += r.tokens;
        p.split = fate.split;
      }
      by_field[field][split] += counts;
      by_licence[licence][split] += counts;
    }
    for (std::size_t p = 0; p < papers.size(); ++p) {
      if (papers[p].documents == 0) continue;
      ordered_json line = ordered(unit.papers[p]);
      line["split"] = split_name(papers[p].split);
      line["documents"] = papers[p].documents;
      line["tokens"] = papers[p].tokens;
      line["tokens_by_kind"] = papers[p].by_kind;
      manifest.add(line);
    }
    for (const json& q : unit.questions) {
      const DocumentRecord& r = unit.records.at(q.at("record").get<std::size_t>());
      const Fate fate = in.fates[in.first[place.unit] + r.number];
      if (!task || fate.copies == 0 || fate.split != in.held_out) continue;
      ordered_json line{{"question", q.at("question")}, {"answer", q.at("answer")}, {"kind", q.at("kind")}};
      for (const char* key : {"id", "title", "licence"})
        if (unit.papers[r.paper].contains(key))
          line[key == std::string("id") ? "paper" : key] = unit.papers[r.paper].at(key);
      task->add(line);
      ++out.questions;
    }
  }
  manifest.commit();
  rejected.commit();
  if (task) task->commit();
  out.balance = {{"kind", balance_json(by_kind)},
                 {"source", balance_json(by_source)},
                 {"field", balance_json(by_field)},
                 {"licence", balance_json(by_licence)}};
  return out;
}

}  // namespace eddy::shard
