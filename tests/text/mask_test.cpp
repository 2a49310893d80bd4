// Mathematics out of the way of rules; addresses out of texts; languages told apart.
#include "text/mask.h"

#include "catch.h"
#include "text/language.h"

using namespace eddy::text;

namespace {
std::string masked(std::string text, std::uint64_t count) {
  CHECK(mask_emails(text) == count);
  return text;
}
}  // namespace

TEST_CASE("mathematics is cut out, words stay") {
  CHECK(without_mathematics("Let $x^2$ be $$\\int_0^1$$ small.") == "Let   be   small.");
  CHECK(without_mathematics("a \\(b\\) c \\[d\\] e") == "a   c   e");
  CHECK(without_mathematics("a \\begin{align*}x&=y\\end{align*} b \\begin{proof}c\\end{proof}") ==
        "a   b \\begin{proof}c\\end{proof}");
  CHECK(without_mathematics("costs 5\\$ and $\\$ x$ and") == "costs 5\\$ and   and");
  CHECK(without_mathematics("one $ alone\n\nand $y$.") == "one $ alone\n\nand  .");
  CHECK(without_mathematics("open $$ for ever") == "open $$ for ever");
  CHECK(without_mathematics("") == "");
  CHECK(without_mathematics("ends in \\") == "ends in \\");
}

TEST_CASE("e-mail addresses are masked, other @ stay") {
  CHECK(masked("Write to ann.lee+x@maths.uni-a.edu. Thanks", 1) == "Write to [email]. Thanks");
  CHECK(masked("\\email{a@b.org}, c_d@e.co.uk", 2) == "\\email{[email]}, [email]");
  CHECK(masked("{ann, bob}@uni.edu and \\{ann, bob\\}@uni.edu", 2) == "[email] and [email]");
  CHECK(masked("@mention, a @ b, x@y, me@host.1, $a@b$", 0) == "@mention, a @ b, x@y, me@host.1, $a@b$");
  CHECK(masked("@ a@b.de@c.fr", 1) == "@ [email]@c.fr");
  CHECK(masked("a@b.de\na@b.de", 2) == "[email]\n[email]");
  CHECK(masked("\\makeatletter\\def\\@foo{1}", 0) == "\\makeatletter\\def\\@foo{1}");
}

TEST_CASE("mathematics and addresses that never end are looked for once") {
  for (const std::string part : {"\\[a", "\\(a", "\\begin{equation}", "\\begin{", "a}@", "$\n\n"}) {
    INFO(part);
    std::string text;
    while (text.size() < 4 << 20) text += part;
    CHECK(without_mathematics(text) == text);
    CHECK(masked(text, 0) == text);
  }
  CHECK(without_mathematics("\\[ a \\(b\\) \\[ c \\(d\\)") == "\\[ a   \\[ c  ");
}

TEST_CASE("languages are told by their function words and scripts") {
  const auto language = [](const char* text) { return detect_language(text).code; };
  CHECK(language("We show that the energy of the flow is bounded by a constant which does not depend on time.") ==
        "en");
  CHECK(language("Wir zeigen, dass die Energie der Strömung durch eine Konstante beschränkt ist.") == "de");
  CHECK(language("Nous montrons que l'énergie de cette solution est bornée par une constante et ne dépend pas du "
                 "temps.") == "fr");
  CHECK(language("Demostramos que la energía de las soluciones está acotada por una constante que no depende del "
                 "tiempo.") == "es");
  CHECK(language("Dimostriamo che l'energia della soluzione è limitata da una costante che non dipende dal tempo.") ==
        "it");
  CHECK(language("Мы доказываем, что энергия решения ограничена.") == "ru");
  CHECK(language("我们证明了能量是有界的。") == "zh");
  CHECK(language("エネルギーは有界であることを示す。") == "ja");
  CHECK(language("xyzzy 12 plugh") == "unknown");
  CHECK(language("") == "unknown");
  CHECK(language("The α and the β of the γ are in the spectrum of the operator Δ that we have.") == "en");
}
