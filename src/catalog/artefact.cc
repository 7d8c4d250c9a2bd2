// SPDX-License-Identifier: Apache-2.0
#include "catalog/artefact.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>

#include "base/name.h"

namespace mlos::catalog {
namespace {

constexpr size_t kHashBlock = 256 << 10;

// Relative to `directory`, never leaving it, never through a link.
OwnedFd OpenBeneath(int directory, const std::string& name, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return OwnedFd(static_cast<int>(syscall(SYS_openat2, directory, name.c_str(), &how, sizeof how)));
}

std::string Extension(std::string_view file) {
  const size_t slash = file.rfind('/');
  if (slash != std::string_view::npos) file.remove_prefix(slash + 1);
  const size_t dot = file.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return {};
  std::string out(file.substr(dot + 1));
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

// Printable and without surprises: it goes into messages and to the plugin.
bool PlainFileName(std::string_view name) {
  return !name.empty() && name.size() <= 255 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

// A hard link is the file itself, whoever made it.  Who may write into the
// model's directory could have the daemon read for him what he may not read:
// the file then belongs to somebody else than the directory does.
Status CheckLink(const struct stat& file, const struct stat& directory, std::string_view name) {
  if (file.st_nlink <= 1 || file.st_uid == directory.st_uid) return OkStatus();
  return InvalidArgument(fmt::format(
      "the model's file {} is a hard link to a file of another owner than its directory has: "
      "copy the file instead",
      Quoted(name)));
}

// The same for a file somewhere below `root`.
Status CheckLinkBeneath(int root, const struct stat& file, const std::string& name) {
  if (file.st_nlink <= 1) return OkStatus();
  const size_t slash = name.rfind('/');
  const OwnedFd directory = OpenBeneath(
      root, slash == std::string::npos ? "." : name.substr(0, slash), O_PATH | O_DIRECTORY);
  struct stat itself;
  if (!directory || fstat(directory.get(), &itself) != 0) {
    return ErrnoStatus(fmt::format("the directory of {} cannot be opened", Quoted(name)));
  }
  return CheckLink(file, itself, name);
}

// Looks before it opens: opening a device does something, and what must not be
// read is not even opened.
StatusOr<OwnedFd> OpenPlain(int root, const std::string& file, struct stat* st) {
  const OwnedFd look = OpenBeneath(root, file, O_PATH);
  struct stat seen;
  if (!look || fstat(look.get(), &seen) != 0) {
    return ErrnoStatus(fmt::format("the model's file {} cannot be opened", Quoted(file)));
  }
  if (!S_ISREG(seen.st_mode)) {
    return InvalidArgument(fmt::format("the model's file {} is not a plain file", Quoted(file)));
  }
  MLOS_RETURN_IF_ERROR(CheckLinkBeneath(root, seen, file));
  OwnedFd fd = OpenBeneath(root, file, O_RDONLY | O_NONBLOCK);
  if (!fd || fstat(fd.get(), st) != 0) {
    return ErrnoStatus(fmt::format("the model's file {} cannot be opened", Quoted(file)));
  }
  if (st->st_dev != seen.st_dev || st->st_ino != seen.st_ino) {
    return Unavailable(
        fmt::format("the model's file {} was replaced while it was opened", Quoted(file)));
  }
  return fd;
}

using Found = std::map<std::string, FileIdentity>;

enum class Trust { kPassOver, kRefuse };  // what is no plain file of its own

// What of an untrusted directory is no file that may be read.
Status RefuseStranger(const std::string& name, const struct stat& st) {
  if (S_ISLNK(st.st_mode)) {
    return InvalidArgument(
        fmt::format("{} is a symbolic link, which is not followed", Quoted(name)));
  }
  if (S_ISREG(st.st_mode)) return OkStatus();
  return InvalidArgument(fmt::format("{} is not a plain file", Quoted(name)));
}

Status ListFiles(int directory, const std::string& prefix, int depth, Trust trust, Found* found) {
  if (depth > kMaxArtefactDepth) {
    return InvalidArgument(
        fmt::format("the model's directory is nested deeper than {} levels", kMaxArtefactDepth));
  }
  const int copy = fcntl(directory, F_DUPFD_CLOEXEC, 0);
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(copy), closedir);
  struct stat itself;
  if (dir == nullptr || fstat(directory, &itself) != 0) {
    if (dir == nullptr) close(copy);
    return ErrnoStatus("the model's directory cannot be listed");
  }
  // The stream is this call's own.  NOLINTNEXTLINE(concurrency-mt-unsafe)
  while (const dirent* entry = readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name[0] == '.' || !PlainFileName(name)) continue;  // hidden: not the model's
    struct stat st;
    if (fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISDIR(st.st_mode)) {
      const OwnedFd child = OpenBeneath(directory, name, O_RDONLY | O_DIRECTORY);
      if (!child) return ErrnoStatus(fmt::format("{} cannot be opened", Quoted(name)));
      MLOS_RETURN_IF_ERROR(ListFiles(child.get(), prefix + name + "/", depth + 1, trust, found));
      continue;
    }
    if (trust == Trust::kRefuse) MLOS_RETURN_IF_ERROR(RefuseStranger(prefix + name, st));
    if (S_ISREG(st.st_mode)) {
      MLOS_RETURN_IF_ERROR(CheckLink(st, itself, prefix + name));
      found->emplace(prefix + name, IdentityOf(st));
      if (found->size() > kMaxArtefactFiles) {
        return InvalidArgument(fmt::format(
            "the model's directory holds more than {} files: register a directory of its own",
            kMaxArtefactFiles));
      }
    }
  }
  return OkStatus();
}

StatusOr<std::string> PickMain(const Artefact& artefact, const std::vector<std::string>& formats,
                               std::string_view wanted) {
  const auto& files = artefact.files;
  const auto has = [&](std::string_view f) {
    return std::find(files.begin(), files.end(), f) != files.end();
  };
  if (!wanted.empty()) {
    if (has(wanted)) return std::string(wanted);
    return NotFound(fmt::format("the model's directory has no file {}", Quoted(wanted)));
  }
  for (const std::string& format : formats) {
    if (has("model." + format)) return "model." + format;
  }
  std::string found;
  for (const std::string& file : files) {
    if (std::find(formats.begin(), formats.end(), Extension(file)) == formats.end()) continue;
    if (!found.empty()) {
      return InvalidArgument(
          fmt::format("the model's directory holds several models ({}, {}): name one with "
                      "\"config\":{{\"default_model_filename\":…}} or register the file itself",
                      Quoted(found), Quoted(file)));
    }
    found = file;
  }
  if (!found.empty()) return found;
  std::string known;
  for (const std::string& format : formats) known += (known.empty() ? "" : ", ") + format;
  return InvalidArgument(fmt::format(
      "the model's directory holds no file in a format that a registered plugin claims ({})",
      known.empty() ? "none is registered" : known));
}

Status FillFrom(int directory, const std::vector<std::string>& formats, std::string_view wanted,
                Trust trust, Artefact* artefact) {
  Found found;
  MLOS_RETURN_IF_ERROR(ListFiles(directory, "", 1, trust, &found));
  for (auto& [file, identity] : found) {
    artefact->files.push_back(file);
    artefact->identities.push_back(identity);
  }
  MLOS_ASSIGN_OR_RETURN(artefact->main_file, PickMain(*artefact, formats, wanted));
  artefact->format = Extension(artefact->main_file);
  return OkStatus();
}

// As far as nobody can put a link in the way.
OwnedFd OpenItsDirectory(const Artefact& artefact) {
  if (artefact.root.empty()) {
    return OwnedFd(open(artefact.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  const OwnedFd root(open(artefact.root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return OwnedFd();
  return OpenBeneath(root.get(), artefact.directory.substr(artefact.root.size() + 1),
                     O_PATH | O_DIRECTORY);
}

}  // namespace

StatusOr<Artefact> FindArtefact(const std::string& path, const std::vector<std::string>& formats,
                                std::string_view wanted) {
  if (path.empty() || path[0] != '/' || path.size() >= 4096 ||
      path.find('\0') != std::string::npos) {
    return InvalidArgument(fmt::format(
        "\"path\" must be an absolute path of a file or a directory, not {}", Quoted(path)));
  }
  struct stat st;
  if (lstat(path.c_str(), &st) != 0) {
    return ErrnoStatus(fmt::format("the model's path {} cannot be used", Quoted(path, 200)));
  }
  Artefact artefact;
  if (S_ISREG(st.st_mode)) {
    const size_t slash = path.rfind('/');
    artefact.directory = slash == 0 ? "/" : path.substr(0, slash);
    artefact.main_file = path.substr(slash + 1);
    if (!PlainFileName(artefact.main_file)) {
      return InvalidArgument("a model file's name must be printable ASCII");
    }
    struct stat directory;
    if (stat(artefact.directory.c_str(), &directory) != 0) {
      return ErrnoStatus("the model's directory cannot be used");
    }
    MLOS_RETURN_IF_ERROR(CheckLink(st, directory, artefact.main_file));
    artefact.files.push_back(artefact.main_file);
    artefact.identities.push_back(IdentityOf(st));
  } else if (S_ISDIR(st.st_mode)) {
    artefact.directory = path;
    const OwnedFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!directory) return ErrnoStatus("the model's directory cannot be opened");
    MLOS_RETURN_IF_ERROR(FillFrom(directory.get(), formats, wanted, Trust::kPassOver, &artefact));
  } else {
    return InvalidArgument(fmt::format(
        "the model's path {} is neither a file nor a directory (links are not followed)",
        Quoted(path, 200)));
  }
  artefact.format = Extension(artefact.main_file);
  return artefact;
}

StatusOr<Artefact> FindArtefactIn(int directory, const std::vector<std::string>& formats,
                                  std::string_view wanted) {
  Artefact artefact;
  MLOS_RETURN_IF_ERROR(FillFrom(directory, formats, wanted, Trust::kRefuse, &artefact));
  return artefact;
}

StatusOr<std::vector<OwnedFd>> OpenArtefact(const Artefact& artefact,
                                            std::vector<size_t>* changed) {
  const OwnedFd directory = OpenItsDirectory(artefact);
  if (!directory) return ErrnoStatus("the model's directory cannot be opened");
  std::vector<OwnedFd> out;
  for (size_t i = 0; i < artefact.files.size(); ++i) {
    const std::string& file = artefact.files[i];
    struct stat st;
    MLOS_ASSIGN_OR_RETURN(OwnedFd fd, OpenPlain(directory.get(), file, &st));
    if (!IdentityOf(st).SameStat(artefact.identities[i])) changed->push_back(i);
    out.push_back(std::move(fd));
  }
  return out;
}

FileIdentity IdentityOf(const struct stat& st) {
  FileIdentity id;
  id.bytes = static_cast<uint64_t>(st.st_size);
  id.modified_ns = int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec;
  return id;
}

StatusOr<std::string> Sha256Of(int fd, const Stop& stop) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  if (context == nullptr || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) {
    return Internal("no checksum can be computed");
  }
  std::vector<char> block(kHashBlock);
  for (off_t at = 0;;) {
    if (stop) return Cancelled("the daemon is being stopped");
    const ssize_t n = pread(fd, block.data(), block.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus("a file cannot be read");
    if (n == 0) break;
    EVP_DigestUpdate(context.get(), block.data(), static_cast<size_t>(n));
    at += n;
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(context.get(), digest, &size);
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace mlos::catalog
