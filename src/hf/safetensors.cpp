#include "hf/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/json.h"

namespace eddy::hf {
namespace {

constexpr std::uint64_t kLargestHeader = 100'000'000;  // the reference implementation's limit
constexpr std::array kNames{std::pair{Dtype::f32, "F32"},   std::pair{Dtype::f64, "F64"},
                            std::pair{Dtype::bf16, "BF16"}, std::pair{Dtype::f8e4m3, "F8_E4M3"},
                            std::pair{Dtype::i32, "I32"},   std::pair{Dtype::i64, "I64"},
                            std::pair{Dtype::u8, "U8"}};

struct Entry {
  std::uint64_t begin, end;
  const std::string* name;
};

/// Reads one tensor's description; what it says is not believed yet.
class EntryReader {
 public:
  EntryReader(const std::string& file, const std::string& name, const nlohmann::json& json)
      : file_(file), name_(name), json_(json) {}

  StoredTensor tensor() const {
    if (!json_.is_object()) fail("must be described by a JSON object");
    for (const auto& [key, value] : json_.items())
      if (key != "dtype" && key != "shape" && key != "data_offsets") fail("has an unknown key '" + key + "'");
    return {dtype(), shape(), {}, file_, 0};
  }
  std::pair<std::uint64_t, std::uint64_t> offsets() const {
    const auto it = json_.find("data_offsets");
    if (it == json_.end() || !it->is_array() || it->size() != 2 || !(*it)[0].is_number_unsigned() ||
        !(*it)[1].is_number_unsigned())
      fail("needs data_offsets: two whole numbers");
    return {(*it)[0].get<std::uint64_t>(), (*it)[1].get<std::uint64_t>()};
  }
  [[noreturn]] void fail(const std::string& what) const { fail_input("{}: tensor '{}' {}", file_, name_, what); }

 private:
  Dtype dtype() const {
    const auto it = json_.find("dtype");
    if (it == json_.end() || !it->is_string()) fail("has no dtype");
    const auto text = it->get<std::string>();
    for (const auto& [dtype, name] : kNames)
      if (text == name) return dtype;
    fail("has dtype '" + text + "', which Eddy does not read; convert it to F32 or BF16");
  }
  std::vector<std::int64_t> shape() const {
    const auto it = json_.find("shape");
    if (it == json_.end() || !it->is_array()) fail("has no shape");
    std::vector<std::int64_t> shape;
    for (const auto& extent : *it) {
      if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() > INT64_MAX)
        fail("has an impossible shape " + it->dump());
      shape.push_back(extent.get<std::int64_t>());
    }
    return shape;
  }
  const std::string& file_;
  const std::string& name_;
  const nlohmann::json& json_;
};

/// Bytes of a tensor, or nothing when they overflow.
std::optional<std::uint64_t> bytes_of(const StoredTensor& t) {
  std::uint64_t bytes = size_of(t.dtype);
  for (const std::int64_t extent : t.shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes)) return {};
  return bytes;
}

}  // namespace

const char* safetensors_name(Dtype dtype) {
  return std::find_if(kNames.begin(), kNames.end(), [&](const auto& n) { return n.first == dtype; })->second;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t extent : shape) text += (text.empty() ? "" : ", ") + std::to_string(extent);
  return "[" + text + "]";
}

std::int64_t count_of(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

void copy_as_f32(const StoredTensor& t, const std::string& name, std::int64_t first, std::int64_t count, float* out) {
  const auto from = static_cast<std::size_t>(first), n = static_cast<std::size_t>(count);
  if (t.dtype == Dtype::f32) {
    std::memcpy(out, t.bytes.data() + from * 4, n * 4);
  } else if (t.dtype == Dtype::bf16) {
    const std::byte* in = t.bytes.data() + from * 2;  // a file's data may begin at an odd address
    for (std::size_t i = 0; i < n; ++i) {
      std::uint16_t bits;
      std::memcpy(&bits, in + 2 * i, 2);
      out[i] = bf16_to_float(bits);
    }
  } else {
    fail_input("{}: tensor '{}' is {}; Eddy reads weights in F32 or BF16", t.file, name, safetensors_name(t.dtype));
  }
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  const std::string where = path.string();
  const std::span<const std::byte> bytes = file_.bytes();
  if (bytes.size() < 8) fail_input("{}: {} bytes are no safetensors file; it may be cut off", where, bytes.size());
  std::uint64_t header;
  std::memcpy(&header, bytes.data(), 8);
  if (header > kLargestHeader || header > bytes.size() - 8)
    fail_input("{}: announces a header of {} bytes in a file of {}; it is cut off or no safetensors file", where,
               header, bytes.size());
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8, header);
  if (text.empty() || text[0] != '{')
    fail_input("{}: its header is no JSON object; this is no safetensors file", where);
  const auto json = parse_json<nlohmann::json>(text, where + " (header)");
  const std::span<const std::byte> data = bytes.subspan(8 + header);

  std::vector<Entry> entries;
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) fail_input("{}: __metadata__ must map strings to strings", where);
      for (const auto& [key, text_value] : value.items()) {
        if (!text_value.is_string()) fail_input("{}: __metadata__ must map strings to strings", where);
        metadata_[key] = text_value.get<std::string>();
      }
      continue;
    }
    const EntryReader reader(where, name, value);
    StoredTensor tensor = reader.tensor();
    const auto [begin, end] = reader.offsets();
    if (begin > end || end > data.size())
      reader.fail(fmt::format("lies at bytes {} to {} of data that has {}; the file is cut off or damaged", begin, end,
                              data.size()));
    if (bytes_of(tensor) != end - begin)
      reader.fail(fmt::format("of shape {} and dtype {} has {} bytes", shape_text(tensor.shape),
                              safetensors_name(tensor.dtype), end - begin));
    tensor.bytes = data.subspan(begin, end - begin);
    tensor.offset = 8 + header + begin;
    entries.push_back({begin, end, &tensors_.emplace(name, std::move(tensor)).first->first});
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::uint64_t covered = 0;
  for (const Entry& e : entries) {
    if (e.begin != covered)
      fail_input("{}: tensor '{}' begins at byte {} of the data, where {} was expected: tensors {}", where, *e.name,
                 e.begin, covered, e.begin < covered ? "overlap" : "leave a gap");
    covered = e.end;
  }
  if (covered != data.size())
    fail_input("{}: {} bytes after the last tensor; the file is damaged", where, data.size() - covered);
}

const StoredTensor& SafetensorsFile::at(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) fail_input("{}: has no tensor '{}'", path().string(), name);
  return it->second;
}

}  // namespace eddy::hf
