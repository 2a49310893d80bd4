#include "text/language.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>

namespace eddy::text {
namespace {

struct Words {
  std::string_view code, words;
};
// The commonest function words; those that several languages share count for each.
constexpr std::array<Words, 8> kLanguages{{
    {"en",
     "the of and to in is that for we with as are by be this on it from which an at or can not have has where if then "
     "let these such our their its was were one between but there when only also all any each"},
    {"de",
     "der die und das in den von zu ist mit des im sich eine auf dem ein nicht als auch es an werden aus er hat dass "
     "sie nach wird bei einer um am sind noch wie einem einen so zum haben nur oder zur durch wir man"},
    {"fr",
     "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont ou avec son aux "
     "nous cette comme mais on ces si leur soit dont donc alors tout"},
    {"es",
     "de la que el en y a los del se las por un para con no una su al es lo como m\u00E1s o pero sus le ha si sobre "
     "este entre cuando muy sin ser tambi\u00E9n hay donde son esta"},
    {"it",
     "di e il la che in a un per \u00E8 del una con non i si da le della al dei nel come lo sono gli alla dal pi\u00F9 "
     "anche se o ma delle questo nella ed degli dalla sul essere"},
    {"pt",
     "de a o que e do da em um para com n\u00E3o uma os no se na por mais as dos como mas ao ele das \u00E0 seu sua ou "
     "quando muito nos j\u00E1 eu tamb\u00E9m s\u00F3 pelo pela at\u00E9 isso"},
    {"nl",
     "de het een van en in is dat op te zijn voor met die niet aan er om ook als door maar bij of wordt uit worden "
     "naar "
     "dan deze over zo kan geen we wat"},
    {"pl",
     "w i z na do nie \u017Ce si\u0119 jest o to od za przez dla po jak ale czy oraz lub co s\u0105 tym tego jego ich "
     "tak ju\u017C mo\u017Ce by\u0107 dla gdy"},
}};

const std::unordered_map<std::string_view, std::uint32_t>& table() {  // word → a bit for each language
  static const auto made = [] {
    std::unordered_map<std::string_view, std::uint32_t> t;
    for (std::size_t l = 0; l < kLanguages.size(); ++l) {
      const std::string_view all = kLanguages[l].words;
      for (std::size_t i = 0; i < all.size();) {
        const std::size_t end = std::min(all.find(' ', i), all.size());
        t[all.substr(i, end - i)] |= 1u << l;
        i = end + 1;
      }
    }
    return t;
  }();
  return made;
}

/// The language of a script other than Latin, or nothing.
std::string_view language_of(UChar32 c) {
  if (c >= 0x3040 && c <= 0x30FF) return "ja";
  if (c >= 0x0370 && c <= 0x03FF) return "el";
  if (c >= 0x0400 && c <= 0x052F) return "ru";
  if (c >= 0x0590 && c <= 0x05FF) return "he";
  if (c >= 0x0600 && c <= 0x06FF) return "ar";
  if ((c >= 0x3400 && c <= 0x9FFF) || (c >= 0x20000 && c <= 0x3FFFF)) return "zh";
  if (c >= 0xAC00 && c <= 0xD7A3) return "ko";
  return "";
}

}  // namespace

Language detect_language(std::string_view text) {
  std::array<std::uint64_t, kLanguages.size()> hits{};
  std::map<std::string_view, std::uint64_t> scripts;
  std::uint64_t words = 0, letters = 0;
  std::string word;
  const auto end_word = [&] {
    if (word.empty()) return;
    ++words;
    const auto found = table().find(word);
    if (found != table().end())
      for (std::size_t l = 0; l < hits.size(); ++l) hits[l] += found->second >> l & 1;
    word.clear();
  };
  const auto* s = reinterpret_cast<const std::uint8_t*>(text.data());
  const auto size = static_cast<std::int32_t>(std::min(text.size(), std::size_t{1} << 22));  // a book's worth tells
  for (std::int32_t i = 0; i < size;) {
    if (s[i] < 0x80) {
      const char c = static_cast<char>(s[i++] | 0x20);
      if (c >= 'a' && c <= 'z') {
        ++letters;
        word += c;
      } else {
        end_word();
      }
      continue;
    }
    const std::int32_t at = i;
    UChar32 c = 0;
    U8_NEXT(s, i, size, c);
    if (c < 0 || !u_isalpha(c)) {
      end_word();
      continue;
    }
    ++letters;
    if (const std::string_view other = language_of(c); !other.empty()) ++scripts[other];
    word.append(text, static_cast<std::size_t>(at), static_cast<std::size_t>(i - at));
  }
  end_word();

  Language result;
  if (letters == 0) return result;
  std::uint64_t foreign = 0;
  for (const auto& [code, n] : scripts) foreign += n;
  if (10 * foreign > 3 * letters) {
    auto most = std::max_element(scripts.begin(), scripts.end(),
                                 [](const auto& a, const auto& b) { return a.second < b.second; });
    const bool kana = scripts.contains("ja") && 20 * scripts["ja"] > foreign;  // Japanese is mostly Han as well
    result.code = kana ? "ja" : std::string(most->first);
    result.share = static_cast<double>(foreign) / static_cast<double>(letters);
    return result;
  }
  const auto best = static_cast<std::size_t>(std::max_element(hits.begin(), hits.end()) - hits.begin());
  const double share = words == 0 ? 0 : static_cast<double>(hits[best]) / static_cast<double>(words);
  if (share < 0.08) return result;
  return {std::string(kLanguages[best].code), share};
}

}  // namespace eddy::text
