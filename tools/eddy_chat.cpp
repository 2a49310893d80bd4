// eddy-chat: text from a model, one prompt, a file of prompts, or a dialogue at the terminal.
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include <fmt/ranges.h>

#include "base/log.h"
#include "base/options.h"
#include "comm/session.h"
#include "generate/chat.h"
#include "generate/generator.h"
#include "io/file.h"

namespace {
using namespace eddy;
using Ids = std::vector<std::int32_t>;

struct ChatOptions {
  std::string model, tokenizer, prompt, prompt_ids, input, system, device = "auto";
  bool raw = false, think = false, json = false;
  std::int64_t max_tokens = 256;
  int threads = 0;
  double timeout = 300;
  generate::Sampling sampling;
  parallel::Layout layout;
};

void add_options(Options& o, ChatOptions& c) {
  o.add("model", &c.model, "Hugging Face folder or Eddy checkpoint", {.required = true});
  o.add("tokenizer", &c.tokenizer, "tokenizer.json; default: the model's own");
  o.add("prompt", &c.prompt, "one prompt; neither this, --prompt-ids nor --input: a dialogue at the terminal");
  o.add("prompt-ids", &c.prompt_ids, "token ids of one prompt, with commas between; no template");
  o.add("input", &c.input, "file of prompts: {\"prompt\"} a line when it ends in .jsonl, else one a line");
  o.add("system", &c.system, "text before the first turn");
  o.add("raw", &c.raw, "continue the prompt as text: begin-of-sentence and the prompt, no chat template");
  o.add("think", &c.think, "open the answer with <think>, as R1's own template does");
  o.add("greedy", &c.sampling.greedy, "always the likeliest token");
  o.add("temperature", &c.sampling.temperature, "divides the logits", {.min = 1e-6});
  o.add("top-p", &c.sampling.top_p, "draw from the likeliest tokens that have this share of the probability",
        {.min = 1e-9, .max = 1});
  o.add("seed", &c.sampling.seed, "of the draws");
  o.add("max-tokens", &c.max_tokens, "longest answer, tokens", {.min = 1, .max = 1 << 30});
  o.add("json", &c.json, "print one JSON object a prompt: prompt, ids, text", {.command_line_only = true});
  o.add("parallel.tp", &c.layout.tp, "tensor parallelism, ranks", {.min = 1});
  o.add("parallel.ep", &c.layout.ep, "expert parallelism, ranks", {.min = 1});
  o.add("parallel.pp", &c.layout.pp, "pipeline stages", {.min = 1});
  o.add("parallel.cp", &c.layout.cp, "context parallelism, ranks", {.min = 1});
  o.add("run.device", &c.device, "where to run; this build has the CPU only", {.choices = {"auto", "cpu"}});
  o.add("run.threads", &c.threads, "threads a rank; 0: cores / ranks on the host", {.min = 0});
  o.add("comm.timeout_s", &c.timeout, "seconds after which a message that did not arrive ends the job; 0: never",
        {.min = 0});
}

Ids parse_ids(const std::string& text) {
  Ids ids;
  std::stringstream in(text);
  for (std::string word; std::getline(in, word, ',');) {
    std::size_t used = 0;
    try {
      ids.push_back(std::stoi(word, &used));
    } catch (const std::exception&) {
      used = 0;
    }
    if (used == 0 || word.find_first_not_of(" \t", used) != std::string::npos)
      fail_input("prompt-ids: '{}' is no token id", word);
  }
  return ids;
}

std::vector<std::string> read_prompts(const std::string& path) {
  std::istringstream in(io::read_file(path));
  std::vector<std::string> prompts;
  const bool jsonl = path.size() > 6 && path.ends_with(".jsonl");
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.empty()) continue;
    if (!jsonl) {
      prompts.push_back(line);
      continue;
    }
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_discarded() || !json.is_object() || !json.contains("prompt") || !json["prompt"].is_string())
      fail_input("{}:{}: a line must be an object with a string \"prompt\"", path, number);
    prompts.push_back(json["prompt"]);
  }
  return prompts;
}

class Chat {
 public:
  Chat(comm::Session& session, const ChatOptions& options)
      : rank_(session.rank()), o_(options), source_(options.model) {
    const std::filesystem::path file = o_.tokenizer.empty() ? source_.tokenizer() : std::filesystem::path(o_.tokenizer);
    if (!file.empty()) tokenizer_ = tokenize::Tokenizer::load(file);
  }
  tokenize::Tokenizer& tokenizer() {
    if (!tokenizer_)
      fail_input("{} has no tokenizer.json; give --tokenizer FILE, or the prompt by --prompt-ids", o_.model);
    return *tokenizer_;
  }
  Ids ids_of(const generate::Dialogue& dialogue) {
    if (!o_.raw) return generate::chat_prompt(tokenizer(), dialogue, o_.think);
    Ids ids;
    if (const auto bos = tokenizer().id_of("<｜begin▁of▁sentence｜>")) ids.push_back(static_cast<std::int32_t>(*bos));
    for (const auto id : tokenizer().encode(dialogue.turns.back().text)) ids.push_back(static_cast<std::int32_t>(id));
    return ids;
  }
  Ids ids_of(const std::string& prompt) { return ids_of(generate::Dialogue{o_.system, {{true, prompt}}}); }
  void load(comm::Session& session, std::int64_t tokens) {
    if (tokens > positions())  // before memory is taken
      fail_input("prompt and answer take {} tokens, the model has {} positions; give a smaller --max-tokens", tokens,
                 positions());
    generator_.emplace(session.world(), source_, o_.layout, tokens);
  }
  std::int64_t positions() const { return source_.config().max_position_embeddings; }

  /// Generates, prints on rank 0 (as it comes, unless --json) and returns the answer's text.
  std::string answer(const Ids& prompt, const std::string& shown) {
    std::vector<std::uint32_t> so_far;
    std::size_t printed = 0;
    std::string text;
    const auto on_token = [&](std::int32_t id) {
      so_far.push_back(static_cast<std::uint32_t>(id));
      if (!tokenizer_ || rank_ != 0 || o_.json) return;
      text = tokenizer_->decode(so_far, tokenize::Tokenizer::Special::skipped);
      std::size_t whole = text.size();  // hold back the bytes of a character that is not complete yet
      for (int back = 0; back < 3 && whole > 0 && (text[whole - 1] & 0xC0) == 0x80; ++back) --whole;
      whole = whole > 0 && (text[whole - 1] & 0xC0) == 0xC0 ? whole - 1 : text.size();
      if (whole <= printed) return;
      std::fwrite(text.data() + printed, 1, whole - printed, stdout);
      std::fflush(stdout);
      printed = whole;
    };
    const Ids out = generator_->generate(prompt, o_.max_tokens, o_.sampling, source_.config().eos_token_id, on_token);
    if (tokenizer_) text = tokenizer_->decode(so_far, tokenize::Tokenizer::Special::skipped);
    if (rank_ != 0) return text;
    if (o_.json) {
      nlohmann::ordered_json j{{"prompt", shown}, {"ids", out}};
      if (tokenizer_) j["text"] = text;
      fmt::print("{}\n", j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    } else if (tokenizer_) {
      fmt::print("{}\n", text.substr(printed));
    } else {
      fmt::print("{}\n", fmt::join(out, ","));
    }
    std::fflush(stdout);
    return text;
  }

 private:
  int rank_;
  const ChatOptions& o_;
  checkpoint::ModelSource source_;
  std::optional<tokenize::Tokenizer> tokenizer_;
  std::optional<generate::Generator> generator_;
};

/// One line from rank 0's terminal, to all ranks; false at its end.
bool read_line(comm::Session& session, std::string& line) {
  std::int64_t size = -1;
  if (session.rank() == 0) {
    if (isatty(0)) fmt::print(stderr, "> ");
    if (std::getline(std::cin, line)) size = static_cast<std::int64_t>(line.size());
  }
  session.world().broadcast(&size, 1, Dtype::i64, 0);
  if (size < 0) return false;
  line.resize(static_cast<std::size_t>(size));
  session.world().broadcast(line.data(), line.size(), Dtype::u8, 0);
  return true;
}

int chat_main(comm::Session& session, int argc, char** argv) {
  ChatOptions o;
  Options options("eddy-chat", "--model PATH [--prompt TEXT | --prompt-ids 1,2,3 | --input FILE] [options]",
                  "Generates text from a model.");
  add_options(options, o);
  if (!options.parse(argc, argv)) return 0;
  if (options.given("prompt") + options.given("prompt-ids") + options.given("input") > 1)
    fail_input("give one of --prompt, --prompt-ids and --input");
  session.set_timeout(o.timeout);
  session.set_threads(o.threads);
  o.layout.world = session.size();
  Chat chat(session, o);

  std::vector<std::pair<Ids, std::string>> prompts;
  if (options.given("prompt-ids")) prompts.emplace_back(parse_ids(o.prompt_ids), o.prompt_ids);
  if (options.given("prompt")) prompts.emplace_back(chat.ids_of(o.prompt), o.prompt);
  if (options.given("input"))
    for (const auto& p : read_prompts(o.input)) prompts.emplace_back(chat.ids_of(p), p);
  if (options.given("prompt") || options.given("prompt-ids") || options.given("input")) {
    std::size_t longest = 0;
    for (const auto& [ids, text] : prompts) longest = std::max(longest, ids.size());
    chat.load(session, static_cast<std::int64_t>(longest) + o.max_tokens);
    for (const auto& [ids, text] : prompts) chat.answer(ids, text);
    return 0;
  }

  session.set_timeout(0);  // a person thinks longer than any message may take
  chat.tokenizer();
  chat.load(session, chat.positions());
  generate::Dialogue dialogue{o.system, {}};
  for (std::string line; read_line(session, line);) {
    if (line.empty()) continue;
    dialogue.turns.push_back({true, line});
    const std::string text = chat.answer(chat.ids_of(dialogue), line);
    dialogue.turns.push_back({false, text});
  }
  return 0;
}
}  // namespace

int main(int argc, char** argv) {
  return eddy::comm::run_mpi_main("eddy-chat", argc, argv,
                                  [&](eddy::comm::Session& s) { return chat_main(s, argc, argv); });
}
