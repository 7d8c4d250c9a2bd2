// SPDX-License-Identifier: Apache-2.0
//
// Any sequence of commits and of closing and opening: the store on disk holds
// what the one in memory does.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "state/fault_vfs.h"
#include "state/memory_store.h"
#include "state/sqlite_store.h"
#include "state/state_test_support.h"

namespace mlos::state {
namespace {

rc::Gen<std::string> Bytes() {
  return rc::gen::oneOf(rc::gen::arbitrary<std::string>(),
                        rc::gen::container<std::string>(rc::gen::arbitrary<char>()),
                        rc::gen::map(rc::gen::inRange(0, 20000), [](int n) {
                          return std::string(static_cast<size_t>(n), 'v');
                        }));
}

rc::Gen<std::optional<std::string>> Value() {
  return rc::gen::map(rc::gen::maybe(Bytes()), [](rc::Maybe<std::string> value) {
    return value ? std::optional<std::string>(std::move(*value)) : std::nullopt;
  });
}

rc::Gen<Change> AnyChange() {
  return rc::gen::build<Change>(
      rc::gen::set(&Change::kind, rc::gen::element<std::string>("model", "plugin", "")),
      rc::gen::set(&Change::key,
                   rc::gen::oneOf(rc::gen::element<std::string>("a", "b", "a/1", "\xff", ""),
                                  rc::gen::arbitrary<std::string>())),
      rc::gen::set(&Change::value, Value()));
}

TEST(StoreModelTest, LikeTheOneInMemory) {
  const bool held = rc::check("SqliteStore holds what MemoryStore does", [] {
    FaultVfs vfs;
    const TestDirectory directory;
    SqliteOptions options;
    options.vfs = vfs.name();
    options.checkpoint_frames = 8;
    MemoryStore model;
    auto store = SqliteStore::Open(directory.file(), options);
    RC_ASSERT(store.ok());
    const int steps = *rc::gen::inRange(1, 15);
    for (int i = 0; i < steps; ++i) {
      if (*rc::gen::weightedElement<bool>({{1, true}, {5, false}})) {
        store->reset();
        store = SqliteStore::Open(directory.file(), options);
        RC_ASSERT(store.ok());
      }
      const auto batch = *rc::gen::container<std::vector<Change>>(AnyChange());
      RC_ASSERT((*store)->Commit(batch).ok());
      RC_ASSERT(model.Commit(batch).ok());
      RC_ASSERT((*store)->Load().value() == model.Load().value());
    }
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace mlos::state
