#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <memory>

#include "base/error.h"
#include "io/file.h"
#include "net/client.h"
#include "net/handles.h"

namespace eddy::net {
namespace {

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK) return "";
  std::string out = text;
  curl_free(text);
  return out;
}

/// Whether a connection can be made, as libcurl says it; "" where it can.
std::string refusal_of(const std::string& host, const std::string& port, double seconds) {
  const Easy easy(curl_easy_init());
  if (!easy) return "libcurl cannot start";
  const std::string url = "http://" + host + ":" + port;  // the connection alone, whatever is spoken on it
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_CONNECT_ONLY, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(seconds * 1000));
  const CURLcode code = curl_easy_perform(easy.get());
  return code == CURLE_OK ? "" : curl_easy_strerror(code);
}

struct BioEnd {
  void operator()(BIO* b) const { BIO_free(b); }
};
struct CertificateEnd {
  void operator()(X509* c) const { X509_free(c); }
};

/// How many certificates a PEM file's text begins with, up to the first that cannot be read.
int certificates_in(const std::string& text) {
  const std::unique_ptr<BIO, BioEnd> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  int n = 0;
  while (bio && std::unique_ptr<X509, CertificateEnd>(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr))) ++n;
  ERR_clear_error();
  return n;
}

std::string trouble_with_file(const std::string& file) {
  try {
    if (certificates_in(io::read_file(file)) > 0) return "";
  } catch (const Error& e) {
    return fmt::format("net.ca_file = '{}': {}", file, e.what());
  }
  return fmt::format("net.ca_file = '{}': holds no certificate; name a file in PEM form (-----BEGIN CERTIFICATE-----)",
                     file);
}

}  // namespace

std::string trouble_with(const ClientOptions& o) {
  if (!o.ca_file.empty())
    if (std::string trouble = trouble_with_file(o.ca_file); !trouble.empty()) return trouble;
  if (o.proxy.empty()) return "";
  const Url url(curl_url());
  std::string host, port;
  // Without a scheme it is http's, and without a port 1080: libcurl's own rules for proxies.
  if (curl_url_set(url.get(), CURLUPART_URL, o.proxy.c_str(), CURLU_NON_SUPPORT_SCHEME | CURLU_DEFAULT_SCHEME) ==
      CURLUE_OK) {
    const std::string scheme = part(url.get(), CURLUPART_SCHEME, CURLU_DEFAULT_SCHEME);
    const bool without = o.proxy.find("://") == std::string::npos;
    if (without || scheme == "http" || scheme == "https" || scheme.starts_with("socks"))
      host = part(url.get(), CURLUPART_HOST);
    port = part(url.get(), CURLUPART_PORT);
    if (port.empty()) port = !without && scheme == "https" ? "443" : "1080";
  }
  if (host.empty())
    return fmt::format("net.proxy = '{}': no URL of a proxy; give one such as http://proxy.example.org:3128", o.proxy);
  if (const std::string why = refusal_of(host, port, o.connect_s); !why.empty())
    return fmt::format(
        "net.proxy = '{}': takes no connection on port {} ({}); correct it, or leave it out where none "
        "is needed",
        o.proxy, port, why);
  return "";
}

}  // namespace eddy::net
