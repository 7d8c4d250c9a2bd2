// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include <gtest/gtest.h>

namespace mlos {
namespace {

TEST(Base64Test, DecodesEveryLength) {
  const std::pair<const char*, std::string_view> cases[] = {
      {"", ""},
      {"Zg==", "f"},
      {"Zm8=", "fo"},
      {"Zm9v", "foo"},
      {"Zm9vYg==", "foob"},
      {"Zm9vYmE=", "fooba"},
      {"AP+A", std::string_view("\0\xff\x80", 3)},
      {"+/+/", "\xfb\xff\xbf"},
      {"//8=", "\xff\xff"},
  };
  for (const auto& [text, bytes] : cases) {
    const StatusOr<std::string> decoded = DecodeBase64(text);
    ASSERT_TRUE(decoded.ok()) << text << ": " << Message(decoded.status());
    EXPECT_EQ(bytes, *decoded) << text;
  }
}

TEST(Base64Test, RefusesWhatIsNone) {
  for (const char* text : {"A", "Zg", "Zg=", "=", "==", "====", "Z===", "Zg==Zg==", "Zm9 ", "Zm9\n",
                           "Zm-_", "Zh==", "Zm9=", "Z=8=", "\xff\xff\xff\xff"}) {
    EXPECT_EQ(StatusCode::kInvalidArgument, DecodeBase64(text).status().code()) << text;
  }
  EXPECT_EQ(StatusCode::kInvalidArgument,
            DecodeBase64(std::string_view("A\0AA", 4)).status().code());
}

}  // namespace
}  // namespace mlos
