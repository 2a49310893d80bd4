#include "tokenizer_commands.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/options.h"
#include "base/units.h"
#include "extract/pdf.h"
#include "io/file.h"
#include "shard/documents.h"
#include "shard/inputs.h"
#include "tokenize/tokenizer.h"
#include "tokenize/trainer.h"

using namespace eddy;
namespace fs = std::filesystem;
using nlohmann::json;
using tokenize::Tokenizer;

namespace {

/// Calls f(line's JSON, "FILE, line N") for each line of a JSON-lines file.
void for_each_line(const fs::path& file, const std::function<void(const json&, const std::string&)>& f) {
  std::ifstream in(file);
  if (!in || fs::is_directory(file)) fail_input("cannot read {}", file.string());
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    const std::string where = fmt::format("{}, line {}", file.string(), number);
    f(parse_json<json>(line, where), where);
  }
  if (in.bad()) fail_input("cannot read {} to its end", file.string());
}

const std::string& text_of(const json& object, const char* key, const std::string& where) {
  const auto value = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || value == object.end() || !value->is_string())
    fail_input("{}: not an object with a string \"{}\"", where, key);
  return value->get_ref<const std::string&>();
}

/// Adds every document of the inputs, as shards would hold it; returns their bytes. Rejected ones are counted and said.
std::uint64_t add_documents(const std::vector<std::string>& inputs, tokenize::BpeTrainer& trainer) {
  const shard::InputList list = shard::list_inputs(inputs);
  const auto units = shard::make_units(list.files, std::numeric_limits<std::uint64_t>::max());
  const std::string pdf = extract::pdf_program().string();
  std::uint64_t bytes = 0;
  std::map<std::string, std::uint64_t> rejected;
  const auto add = [&](std::string_view text) {
    trainer.add(text);
    bytes += text.size();
  };
  log::Progress progress("Counting words", units.size(), "files");
  for (std::size_t i = 0; i < units.size(); ++i) {
    shard::read_unit(list.files[units[i].file], units[i], pdf,
                     [&](std::uint64_t, const shard::Document* document, const extract::Outcome& outcome) {
                       if (!document) {
                         ++rejected[outcome.reason];
                         return;
                       }
                       if (document->prompt) add(*document->prompt);
                       add(document->text);
                     });
    progress.update(i + 1);
  }
  for (const auto& [ending, count] : list.skipped) log::info("skipped: {} × files ending in '{}'", count, ending);
  for (const auto& [reason, count] : rejected) log::warning("rejected: {} × {}", count, reason);
  if (bytes == 0) fail_input("--input: there is no document to train on (.tex .md .txt .pdf .jsonl)");
  return bytes;
}

/// The default tokens, or the named ones: special, but with the default's flags where a name is a default token's.
std::vector<tokenize::AddedToken> added_tokens(const std::vector<std::string>& names) {
  const auto defaults = tokenize::default_added_tokens();
  if (names.empty()) return defaults;
  std::vector<tokenize::AddedToken> added;
  for (const std::string& name : names) {
    const auto same = [&name](const auto& token) { return token.content == name; };
    if (name.empty() || std::any_of(added.begin(), added.end(), same))
      fail_input("--special: the token '{}' is empty or stands twice", name);
    const auto known = std::find_if(defaults.begin(), defaults.end(), same);
    added.push_back(known != defaults.end() ? *known : tokenize::AddedToken{.content = name, .special = true});
  }
  return added;
}

}  // namespace

int train_tokenizer_main(const std::vector<std::string>& arguments) {
  std::vector<std::string> input, special;
  std::int64_t vocab_size = 0;
  std::string out;
  bool overwrite = false;
  Options options("eddy-shard train-tokenizer", "--input PATH... --vocab-size N --out tokenizer.json",
                  "Trains a byte-level BPE with DeepSeek-V3's splits; Hugging Face's tokenizers reads the result.");
  options.add("input", &input, "files (.tex .md .txt .pdf .jsonl), and folders which are searched", {.required = true});
  options.add("vocab-size", &vocab_size, "tokens in all: added tokens, the 256 bytes, merges",
              {.min = 0, .required = true});
  options.add("out", &out, "the file to write", {.required = true});
  options.add("overwrite", &overwrite, "replace a file that is there");
  options.add("special", &special,
              "added tokens, ids from 0 (default: DeepSeek-R1's BOS, EOS, padding, user, assistant, "
              "<think>, </think>)");
  if (!options.parse(arguments)) return 0;
  if (fs::is_directory(out)) fail_input("--out {}: it is a folder; name a file", out);
  if (!overwrite && fs::exists(out))
    fail_input("--out {}: it is there already: choose another name, or give --overwrite to replace it", out);
  tokenize::BpeTrainer trainer(static_cast<std::size_t>(vocab_size), added_tokens(special));
  const std::uint64_t bytes = add_documents(input, trainer);
  const std::string file = trainer.finish();
  const auto reached = static_cast<std::int64_t>(Tokenizer::from_json(file, out).vocab_size());
  if (reached < vocab_size)
    log::warning("the text has pairs for {} tokens only, not for {}: give more text or a smaller --vocab-size",
                 with_commas(reached), with_commas(vocab_size));
  io::write_file(out, file);
  log::info("{}: {} tokens, trained on {}", out, with_commas(reached), bytes_text(static_cast<double>(bytes)));
  return 0;
}

int tokenize_main(const std::vector<std::string>& arguments, std::ostream& out) {
  std::string tokenizer_file, input;
  bool plain = false;
  Options options("eddy-shard tokenize", "--tokenizer FILE --jsonl FILE",
                  "Turns {\"text\"} lines into JSON arrays of token ids on standard output.");
  options.add("tokenizer", &tokenizer_file, "a tokenizer.json", {.required = true});
  options.add("jsonl", &input, "one object with a \"text\" a line", {.required = true});
  options.add("plain", &plain, "added tokens in the text are text, not control tokens");
  if (!options.parse(arguments)) return 0;
  Tokenizer tokenizer = Tokenizer::load(tokenizer_file);
  for_each_line(input, [&](const json& line, const std::string& where) {
    const auto ids = tokenizer.encode(text_of(line, "text", where),
                                      plain ? Tokenizer::Added::plain_text : Tokenizer::Added::recognised);
    out << fmt::format("[{}]\n", fmt::join(ids, ","));
  });
  if (!out.flush()) fail_run("the ids could not be written to standard output");
  return 0;
}

int detokenize_main(const std::vector<std::string>& arguments, std::ostream& out) {
  std::string tokenizer_file, input;
  bool skip_special = false;
  Options options("eddy-shard detokenize", "--tokenizer FILE --jsonl FILE",
                  "Turns JSON arrays of token ids, one a line, into {\"text\"} lines on standard output.");
  options.add("tokenizer", &tokenizer_file, "a tokenizer.json", {.required = true});
  options.add("jsonl", &input, "one JSON array of token ids a line", {.required = true});
  options.add("skip-special", &skip_special, "leave special tokens out");
  if (!options.parse(arguments)) return 0;
  const Tokenizer tokenizer = Tokenizer::load(tokenizer_file);
  for_each_line(input, [&](const json& line, const std::string& where) {
    if (!line.is_array()) fail_input("{}: not a JSON array of token ids", where);
    std::vector<std::uint32_t> ids;
    for (const json& id : line) {
      if (!id.is_number_unsigned() || id.get<std::uint64_t>() > tokenize::kLargestTokenId ||
          !tokenizer.bytes_of(id.get<std::uint32_t>()))
        fail_input("{}: {} is not a token id of {} (vocabulary: {})", where, id.dump(), tokenizer_file,
                   tokenizer.vocab_size());
      ids.push_back(id.get<std::uint32_t>());
    }
    const auto special = skip_special ? Tokenizer::Special::skipped : Tokenizer::Special::shown;
    const json text = {{"text", tokenizer.decode(ids, special)}};
    out << text.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
  });
  if (!out.flush()) fail_run("the text could not be written to standard output");
  return 0;
}
