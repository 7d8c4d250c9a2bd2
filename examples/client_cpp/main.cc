// SPDX-License-Identifier: Apache-2.0
//
// Reads handwritten digits with the demo's model, through shared memory.
//
//   client_cpp heldout.f32     64 floats each, as in examples/digits
#include <algorithm>
#include <fstream>
#include <iostream>
#include <vector>

#include "mlos/client.hpp"

namespace {

constexpr size_t kPixels = 64;

int Read(std::istream& images) {
  const mlos::Client client;
  const mlos::Model model = client.Open("digits");
  // Laid out once, run for each image.
  mlos::Call call = model.Prepare({{"image", {1, kPixels}}}, {"label"});
  std::vector<float> image(kPixels);
  while (images.read(reinterpret_cast<char*>(image.data()), kPixels * sizeof(float))) {
    std::ranges::copy(image, call.Input<float>("image").begin());
    call.Run(std::chrono::seconds(1));
    std::cout << call.Output<int64_t>("label")[0] << '\n';
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: client_cpp FILE\n";
    return 2;
  }
  std::ifstream images(argv[1], std::ios::binary);
  if (!images) {
    std::cerr << "cannot read " << argv[1] << '\n';
    return 1;
  }
  return Read(images);
} catch (const mlos::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
