// SPDX-License-Identifier: Apache-2.0
#include "tensor/bytes_checker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "tensor/datatype.h"

namespace mlos::tensor {
namespace {

Status InPieces(const std::string& data, uint64_t count, size_t piece) {
  BytesChecker checker(count, data.size());
  const auto bytes = std::as_bytes(std::span(data));
  for (size_t at = 0; at < bytes.size(); at += piece) {
    MLOS_RETURN_IF_ERROR(checker.Take(bytes.subspan(at, std::min(piece, bytes.size() - at))));
  }
  return checker.End();
}

TEST(BytesChecker, SaysTheSameInWhateverPieces) {
  const auto element = [](const std::string& text) {
    return std::string(1, static_cast<char>(text.size())) + std::string(3, '\0') + text;
  };
  const std::string three = element("a") + element("") + element("ccc");
  const std::pair<std::string, std::string> cases[] = {
      {three, ""},
      {element("") + element("") + element(""), ""},
      {three + element("d"), "5 bytes are left over after 3 elements"},
      {three + "x", "1 bytes are left over after 3 elements"},
      {element("a") + element("b"), "element 2 of 3: the data end inside its 4-byte length"},
      {element("a") + element("b") + "\2", "element 2 of 3: the data end inside its 4-byte length"},
      {three.substr(0, three.size() - 1),
       "element 2 of 3: its length is 3 bytes but only 2 are left"},
      {element("a") + std::string(4, '\xff') + "x",
       "element 1 of 3: its length is 4294967295 bytes but only 1 are left"},
      {"", "element 0 of 3: the data end inside its 4-byte length"},
  };
  for (const auto& [data, text] : cases) {
    EXPECT_EQ(text, Message(CheckBytesTensor(std::as_bytes(std::span(data)), 3)));
    for (const size_t piece : {1, 2, 3, 5, 100}) {
      EXPECT_EQ(text, Message(InPieces(data, 3, piece))) << piece;
    }
  }
  EXPECT_TRUE(InPieces("", 0, 1).ok());
}

}  // namespace
}  // namespace mlos::tensor
