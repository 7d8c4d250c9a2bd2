// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/request_context.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace mlos::frontend {
namespace {

constexpr std::string_view kTrace = "0af7651916cd43dd8448eb211c80319c";
constexpr std::string_view kParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(RequestContextTest, TakesAnIdOrMakesOne) {
  IdSource ids(1);
  RequestContext context;
  const std::string longest(128, 'x');
  for (const std::string& good : {std::string("a"), std::string("Az09._:/+=@~-"), longest}) {
    context.Begin(good, {}, {}, ids);
    EXPECT_EQ(good, context.request_id());
  }
  std::set<std::string> made;
  for (const std::string& bad :
       {std::string(), longest + "x", std::string("a b"), std::string("a\r\nSet-Cookie"),
        std::string("\xc3\xa9"), std::string("a\"b"), std::string("a\0b", 3)}) {
    context.Begin(bad, {}, {}, ids);
    EXPECT_EQ(16u, context.request_id().size());
    EXPECT_TRUE(IsRequestId(context.request_id()));
    EXPECT_TRUE(made.insert(std::string(context.request_id())).second);
  }
  EXPECT_TRUE(context.traceparent().empty());
  EXPECT_TRUE(context.trace_id().empty());
}

TEST(RequestContextTest, ContinuesATraceWithASpanOfItsOwn) {
  IdSource ids(1);
  RequestContext context;
  context.Begin("r", kParent, "vendor=1,other=2", ids);
  EXPECT_EQ(kTrace, context.trace_id());
  EXPECT_EQ(16u, context.span_id().size());
  EXPECT_NE("b7ad6b7169203331", context.span_id());
  EXPECT_EQ("vendor=1,other=2", context.tracestate());
  std::string_view trace;
  uint8_t flags = 0;
  ASSERT_TRUE(ParseTraceParent(context.traceparent(), &trace, &flags));
  EXPECT_EQ(kTrace, trace);
  EXPECT_EQ(1, flags);
  context.Begin("r", kParent, std::string(513, 'a'), ids);
  EXPECT_EQ("", context.tracestate()) << "too long";
  context.Begin("r", {}, "vendor=1", ids);
  EXPECT_EQ("", context.tracestate()) << "nothing without a trace";
  EXPECT_EQ("", context.traceparent());
}

TEST(RequestContextTest, ATraceIsTakenInItsOneFormOnly) {
  const std::string good(kParent);
  const auto with = [&](size_t at, std::string_view text) {
    return std::string(good).replace(at, text.size(), text);
  };
  std::string_view trace;
  uint8_t flags = 0;
  for (const std::string& bad :
       {std::string(), good.substr(0, 54), good + "-", good + "0", good + "-extra", with(0, "ff"),
        with(0, "0g"), with(2, "_"), with(35, " "), with(52, "."), with(3, "A"),
        with(3, "00000000000000000000000000000000"), with(36, "0000000000000000"), with(36, "X"),
        with(53, "0G"), " " + good, with(0, "01") + "x"}) {
    EXPECT_FALSE(ParseTraceParent(bad, &trace, &flags)) << bad;
  }
  for (const std::string& later : {with(0, "01"), with(0, "fe") + "-what.is.to.come"}) {
    EXPECT_TRUE(ParseTraceParent(later, &trace, &flags)) << later;
    EXPECT_EQ(kTrace, trace);
  }
  ASSERT_TRUE(ParseTraceParent(with(53, "fe"), &trace, &flags));
  EXPECT_EQ(0xfe, flags);
  IdSource ids(1);
  RequestContext context;
  context.Begin("r", with(53, "fe"), {}, ids);
  EXPECT_EQ("-00", context.traceparent().substr(52)) << "flags that nobody knows are not passed on";
}

TEST(IdSourceTest, TwoSourcesDiffer) {
  IdSource a;
  IdSource b;
  EXPECT_NE(a.Next(), b.Next());
}

}  // namespace
}  // namespace mlos::frontend
