#include "tokenizer_commands.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/options.h"
#include "base/units.h"
#include "io/file.h"
#include "tokenize/tokenizer.h"
#include "tokenize/trainer.h"

using namespace eddy;
namespace fs = std::filesystem;
using nlohmann::json;
using tokenize::Tokenizer;

namespace {

/// Calls f(line's JSON, "FILE, line N") for each line of a JSON-lines file.
void for_each_line(const fs::path& file, bool skip_blank,
                   const std::function<void(const json&, const std::string&)>& f) {
  std::ifstream in(file);
  if (!in || fs::is_directory(file)) fail_input("cannot read {}", file.string());
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (skip_blank && line.find_first_not_of(" \t\r") == std::string::npos) continue;
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

/// Documents for training: the files given and those in the folders given, by name.
class TrainingInput {
 public:
  explicit TrainingInput(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      if (!fs::is_directory(path)) {
        take(path, true);
        continue;
      }
      for (const auto& entry : fs::recursive_directory_iterator(path))
        if (entry.is_regular_file()) take(entry.path(), false);
    }
    std::sort(files_.begin(), files_.end());
    files_.erase(std::unique(files_.begin(), files_.end()), files_.end());
    if (pdf_ > 0) log::warning("{} PDF files are skipped: give their text", pdf_);
    if (other_ > 0) log::info("{} files that are not .txt, .tex, .md or .jsonl are skipped", other_);
    if (files_.empty()) fail_input("there is no .txt, .tex, .md or .jsonl file to train on in what --input names");
  }

  void for_each(const std::function<void(std::string_view)>& f) const {
    log::Progress progress("Counting words", files_.size(), "files");
    for (std::size_t i = 0; i < files_.size(); ++i) {
      if (files_[i].extension() == ".jsonl")
        for_each_line(files_[i], true, [&](const json& object, const std::string& where) {
          if (object.is_object() && object.contains("prompt")) {
            f(text_of(object, "prompt", where));
            f(text_of(object, "response", where));
          } else {
            f(text_of(object, "text", where));
          }
        });
      else
        f(io::read_file(files_[i]));
      progress.update(i + 1);
    }
  }

 private:
  void take(const fs::path& file, bool named) {
    const std::string kind = file.extension().string();
    if (kind == ".txt" || kind == ".tex" || kind == ".md" || kind == ".jsonl") {
      files_.push_back(file);
    } else if (kind == ".pdf") {
      ++pdf_;
    } else if (named) {
      if (!fs::exists(file)) fail_input("cannot read {}: there is no such file or folder", file.string());
      fail_input("{}: training reads .txt, .tex, .md and .jsonl files", file.string());
    } else {
      ++other_;
    }
  }
  std::vector<fs::path> files_;
  std::size_t pdf_ = 0, other_ = 0;
};

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
  Options options("eddy-shard train-tokenizer", "--input PATH... --vocab-size N --out tokenizer.json",
                  "Trains a byte-level BPE with DeepSeek-V3's splits; Hugging Face's tokenizers reads the result.");
  options.add("input", &input, "files (.txt .tex .md .jsonl) and folders of them", {.required = true});
  options.add("vocab-size", &vocab_size, "tokens in all: added tokens, the 256 bytes, merges",
              {.min = 0, .required = true});
  options.add("out", &out, "the file to write", {.required = true});
  options.add("special", &special,
              "added tokens, ids from 0 (default: DeepSeek-R1's BOS, EOS, padding, user, assistant, "
              "<think>, </think>)");
  if (!options.parse(arguments)) return 0;
  tokenize::BpeTrainer trainer(static_cast<std::size_t>(vocab_size), added_tokens(special));
  std::uint64_t bytes = 0;
  TrainingInput(input).for_each([&](std::string_view document) {
    trainer.add(document);
    bytes += document.size();
  });
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
  for_each_line(input, false, [&](const json& line, const std::string& where) {
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
  for_each_line(input, false, [&](const json& line, const std::string& where) {
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
