#pragma once
#include <cstdint>
#include <string>

namespace eddy {
/// 1536 → "1.50 KiB".
std::string bytes_text(double bytes);
/// Seconds → "1h02m", "3m20s", "4.2s".
std::string duration(double seconds);
/// 671026419200 → "671,026,419,200".
std::string with_commas(std::int64_t value);
/// "5GB", "512MiB", "1000" → bytes; throws Error (status 2) naming `what` otherwise.
std::uint64_t parse_bytes(const std::string& text, const std::string& what);
}  // namespace eddy
