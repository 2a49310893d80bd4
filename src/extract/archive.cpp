#include "extract/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <unordered_map>

namespace eddy::extract {
namespace {

using std::string;
using std::string_view;

bool starts(string_view s, string_view with) {
  return s.substr(0, with.size()) == with;
}

/// Files whose bytes are of no use to the text; their names still count (an archive of figures says so).
bool holds_no_text(string_view name) {
  constexpr std::array<string_view, 26> endings{
      ".png", ".jpg", ".jpeg", ".gif", ".eps", ".ps",  ".svg",  ".bmp",  ".tif", ".tiff", ".ttf",  ".otf", ".pfb",
      ".zip", ".gz",  ".mp4",  ".avi", ".mov", ".dat", ".xlsx", ".docx", ".bst", ".epsi", ".epsf", ".csv", ".h5"};
  string low(name);
  std::transform(low.begin(), low.end(), low.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::any_of(endings.begin(), endings.end(), [&](string_view e) { return low.ends_with(e); });
}

struct Close {
  void operator()(archive* a) const { archive_read_free(a); }
};

string complaint(archive* a) {
  const char* text = archive_error_string(a);
  return text ? text : "unknown format";
}

}  // namespace

Payload payload_of(string_view b) {
  if (b.empty()) return Payload::empty;
  // Some servers put a line or a byte order mark before "%PDF-"; readers accept it in the first kilobyte.
  if (starts(b, "%PDF-") || (b[0] != '\\' && b[0] != '%' && b.substr(0, 1024).find("%PDF-1.") != string_view::npos))
    return Payload::pdf;
  if (starts(b, "%!PS") || starts(b, "\x04%!PS")) return Payload::postscript;
  constexpr std::array<string_view, 6> packed{"\x1f\x8b",
                                              "\x1f\x9d",
                                              "BZh",
                                              "\xfd"
                                              "7zXZ",
                                              "PK\x03\x04",
                                              "\x28\xb5\x2f\xfd"};
  if (std::any_of(packed.begin(), packed.end(), [&](string_view p) { return starts(b, p); })) return Payload::archive;
  if (b.size() > 262 && b.substr(257, 5) == "ustar") return Payload::archive;
  const std::size_t first = b.find_first_not_of(" \t\r\n");
  if (first != string_view::npos) {
    string head(b.substr(first, 15));
    std::transform(head.begin(), head.end(), head.begin(), [](unsigned char c) { return std::tolower(c); });
    if (starts(head, "<!doctype html") || starts(head, "<html")) return Payload::html;
  }
  return Payload::text;
}

string safe_name(string_view name) {
  if (name.empty() || name[0] == '/' || name.find('\0') != string_view::npos) return "";
  if (name.size() > 1 && name[1] == ':') return "";  // C:…
  std::vector<string_view> parts;
  for (std::size_t i = 0; i <= name.size();) {
    const std::size_t end = std::min(name.find_first_of("/\\", i), name.size());
    const string_view part = name.substr(i, end - i);
    i = end + 1;
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (parts.empty()) {
      return "";
    } else {
      parts.pop_back();
    }
  }
  string out;
  for (const string_view part : parts) {
    if (!out.empty()) out += '/';
    out += part;
  }
  return out;
}

Archive unpack(string_view bytes, const ArchiveLimits& limits) {
  Archive result;
  const auto reject = [&](string reason, string detail) {
    result.files.clear();
    result.reason = std::move(reason);
    result.detail = std::move(detail);
    return std::move(result);
  };
  const std::unique_ptr<archive, Close> reader(archive_read_new());
  archive* a = reader.get();
  if (!a) return reject("archive: cannot be read", "out of memory");
  for (auto* filter :
       {archive_read_support_filter_gzip, archive_read_support_filter_compress, archive_read_support_filter_bzip2,
        archive_read_support_filter_xz, archive_read_support_filter_zstd})
    filter(a);
  archive_read_support_format_tar(a);
  archive_read_support_format_zip_streamable(a);
  archive_read_support_format_raw(a);  // a lone compressed file
  if (archive_read_open_memory(a, bytes.data(), bytes.size()) != ARCHIVE_OK)
    return reject("archive: damaged", complaint(a));
  std::uint64_t entries = 0, total = 0;
  std::unordered_map<string, std::size_t> index;
  const auto within = [&](std::uint64_t n) {
    return n <= limits.total_bytes && (n <= limits.ratio_from || n / limits.ratio <= bytes.size());
  };
  const auto count = [&](std::uint64_t n) { return within(total += n); };
  const auto too_much = [&] {
    return reject("archive: unpacks to too much", fmt::format("more than {} bytes from {}", total, bytes.size()));
  };
  std::vector<char> block(1 << 16);
  for (archive_entry* entry = nullptr;;) {
    const int got = archive_read_next_header(a, &entry);
    if (got == ARCHIVE_EOF) break;
    if (got < ARCHIVE_WARN) {
      if (result.files.empty()) return reject("archive: damaged", complaint(a));
      result.detail = complaint(a);
      break;
    }
    if (++entries > limits.entries)
      return reject("archive: too many entries", fmt::format("more than {}", limits.entries));
    const bool lone = archive_format(a) == ARCHIVE_FORMAT_RAW;
    if (lone && archive_filter_count(a) < 2) return reject("archive: damaged", "of no known format");
    const char* raw = archive_entry_pathname(entry);
    const string_view name = raw ? raw : "";
    const bool link = archive_entry_hardlink(entry) || archive_entry_symlink(entry);
    const bool folder = !lone && archive_entry_filetype(entry) == AE_IFDIR;
    ArchiveFile file{lone || name.size() > limits.name ? string() : safe_name(name), {}};
    const bool refuse = !lone && (link || archive_entry_filetype(entry) != AE_IFREG || file.name.empty());
    const bool keep = lone || (!refuse && !holds_no_text(file.name));
    if (refuse && !folder) ++result.refused;
    // What is not kept is read all the same: it counts, where skipping it would unpack it uncounted.
    if (!count(name.size())) return too_much();
    bool damaged = false;
    for (;;) {
      const la_ssize_t n = archive_read_data(a, block.data(), block.size());
      if (n == 0) break;
      if (n < 0) {
        damaged = true;
        result.detail = complaint(a);
        break;
      }
      if (!count(static_cast<std::uint64_t>(n))) return too_much();
      if (keep) file.bytes.append(block.data(), static_cast<std::size_t>(n));
    }
    if (refuse && !damaged) continue;
    if (damaged && (refuse || file.bytes.empty())) {
      if (result.files.empty()) return reject("archive: damaged", result.detail);
      break;
    }
    const auto [same, fresh] = index.try_emplace(file.name, result.files.size());
    if (fresh)
      result.files.push_back(std::move(file));
    else
      result.files[same->second] = std::move(file);
    if (damaged) break;
  }
  if (result.files.empty()) return reject("archive: no files", result.refused ? "links and unsafe names refused" : "");
  return result;
}

}  // namespace eddy::extract
