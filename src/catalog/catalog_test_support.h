// SPDX-License-Identifier: Apache-2.0
//
// What the catalog's tests share: a directory with packages and models, and a
// catalog over a store in memory.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "catalog/catalog.h"
#include "catalog/codec.h"
#include "state/memory_store.h"

namespace mlos::catalog {

class TestFiles {
 public:
  TestFiles() {
    std::string name = testing::TempDir() + "mlos-catalog-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "no directory " << name;
    root_ = name;
  }
  TestFiles(const TestFiles&) = delete;
  TestFiles& operator=(const TestFiles&) = delete;
  ~TestFiles() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  const std::filesystem::path& root() const { return root_; }
  std::string Write(const std::string& path, const std::string& text = "x") {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
    return root_ / path;
  }
  std::string Package(const std::string& name, const std::string& version,
                      const std::string& formats = "onnx") {
    const std::string directory = "plugins/" + name + "-" + version;
    Write(directory + "/lib.so");
    Write(directory + "/plugin.yaml", "name: " + name + "\nversion: " + version +
                                          "\nlibrary: lib.so\nformats: [" + formats + "]\n");
    return root_ / directory;
  }

 private:
  std::filesystem::path root_;
};

// Everything durable that a catalog holds, as text.
inline std::string Durable(const Catalog& catalog) {
  std::string out;
  for (const auto& [name, versions] : catalog.plugins()) {
    for (const auto& [number, p] : versions) out += KeyOf(*p) + " " + Encode(*p) + "\n";
  }
  for (const auto& [name, versions] : catalog.models()) {
    out += name + " " + Encode(catalog.Group(name)) + "\n";
    for (const auto& [number, m] : versions) out += KeyOf(*m) + " " + Encode(*m) + "\n";
  }
  return out;
}

}  // namespace mlos::catalog
