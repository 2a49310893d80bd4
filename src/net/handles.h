#pragma once
// libcurl's handles as owned values. For the files of this folder.
#include <curl/curl.h>

#include <memory>

namespace eddy::net {

struct EasyEnd {
  void operator()(CURL* h) const { curl_easy_cleanup(h); }
};
struct MultiEnd {
  void operator()(CURLM* h) const { curl_multi_cleanup(h); }
};
struct ListEnd {
  void operator()(curl_slist* l) const { curl_slist_free_all(l); }
};
struct UrlEnd {
  void operator()(CURLU* u) const { curl_url_cleanup(u); }
};
using Easy = std::unique_ptr<CURL, EasyEnd>;
using Multi = std::unique_ptr<CURLM, MultiEnd>;
using List = std::unique_ptr<curl_slist, ListEnd>;
using Url = std::unique_ptr<CURLU, UrlEnd>;

}  // namespace eddy::net
