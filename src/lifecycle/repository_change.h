// SPDX-License-Identifier: Apache-2.0
//
// What a change of one model of a repository waits for, and what comes then.
// Of Repositories' own parts.  Control loop; shared by all that has to end.
#pragma once

#include "lifecycle/repositories.h"

namespace mlos::lifecycle {

// What may be found otherwise goes into the record that there is.
void TakeContent(catalog::ModelVersion& record, catalog::ModelVersion anew);

struct Repositories::Change {
  std::function<void()> then;
  Done done;
  bool asked = false;            // by somebody, who wants it tried again
  std::optional<uint64_t> only;  // the version that is asked for; none: all
  bool changed = false;          // something is not as it was
  size_t left = 1;               // the one who begins it counts too
  Status status;
  std::shared_ptr<const Before> before;  // it brings its content along; else null

  void End(const Status& ended) {
    if (status.ok()) status = ended;
    if (--left > 0) return;
    then();
    done(status);
  }
  // Of one version.
  void End(uint64_t version, const Status& ended) {
    End(!only || *only == version ? ended : OkStatus());
  }
};

}  // namespace mlos::lifecycle
