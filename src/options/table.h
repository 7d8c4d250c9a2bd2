// SPDX-License-Identifier: Apache-2.0
//
// The table of mlosd's options: flags, environment variables, keys of the
// configuration file, help, manual and docs/options.md all come from it.
//
// To add an option: a line in Id, a row at the same place in kTable, and the
// code that reads it.  A column left out fails the build.
#pragma once

#include <span>

#include "base/clock.h"
#include "options/row.h"

namespace mlos::options {

enum class Id : uint8_t {
  kConfig,
  kDataDir,
  kAuth,
  kLogLevel,
  kLogFormat,
  kPrintAddresses,
  kPluginDir,
  kPluginHost,
  kWorkers,
  kHttpAddress,
  kMetricsAddress,
  kDefaultDeadline,
  kMaxDeadline,
  kDrainGrace,
  kDrainTimeout,
  kHttpMaxConnections,
  kHttpMaxHeader,
  kHttpMaxBody,
  kHttpMaxManagementBody,
  kHttpMaxChunks,
  kHttpMaxJsonResponse,
  kHttpMaxBuffered,
  kHttpIdleTimeout,
  kHttpHeaderTimeout,
  kHttpTransferTimeout,
  kHttpMinRate,
  kHttpLinger,
  kCount,
};

// For root /var/lib/mlos; else $XDG_STATE_HOME/mlos, by default ~/.local/state/mlos.
std::string DefaultDataDir();
// The mlos-plugin-host beside this program.
std::string DefaultPluginHost();

inline constexpr Row kTable[] = {
    {.id = Id::kConfig,
     .name = "config",
     .group = Group::kGeneral,
     .type = Type::kPath,
     .initial = Default::None(),
     .change = Change::kRestart,
     .doc = "Read options from this YAML file",
     .reason = "What the daemon does should not depend on a file that nobody named.",
     .in_file = false},
    {.id = Id::kDataDir,
     .name = "data-dir",
     .group = Group::kGeneral,
     .type = Type::kPath,
     .initial = Default::Computed(DefaultDataDir, "$XDG_STATE_HOME/mlos; for root /var/lib/mlos"),
     .change = Change::kRestart,
     .doc = "Where the daemon keeps what must last; one daemon at a time",
     .reason = "The place that the system's conventions give to a program's state."},
    {.id = Id::kAuth,
     .name = "auth",
     .group = Group::kGeneral,
     .type = Type::kChoice,
     .initial = Default::Is("required"),
     .choices = "required|off",
     .change = Change::kRestart,
     .doc = "Who may call: those with a credential, or, on loopback addresses and Unix sockets "
            "only, everybody",
     .reason = "Openness is something to ask for."},
    {.id = Id::kLogLevel,
     .name = "log-level",
     .group = Group::kGeneral,
     .type = Type::kChoice,
     .initial = Default::Is("info"),
     .choices = "debug|info|warning|error",
     .change = Change::kReload,
     .doc = "The least important lines that reach the log",
     .reason = "Every change of state and nothing for each request."},
    {.id = Id::kLogFormat,
     .name = "log-format",
     .group = Group::kGeneral,
     .type = Type::kChoice,
     .initial = Default::Is("text"),
     .choices = "text|json",
     .change = Change::kRestart,
     .doc = "How a line of the log is written: for people, or as one JSON object",
     .reason = "The same command writes the same, on a terminal or not; who feeds a collector says "
               "so."},
    {.id = Id::kPrintAddresses,
     .name = "print-addresses",
     .group = Group::kGeneral,
     .type = Type::kPath,
     .initial = Default::None(),
     .change = Change::kRestart,
     .doc = "Write the addresses in use to this file, as JSON, once they accept",
     .reason = "Only who lets the system pick a port needs to be told which."},

    {.id = Id::kPluginDir,
     .name = "plugin-dir",
     .group = Group::kPlugins,
     .type = Type::kPaths,
     .initial = Default::None(),
     .change = Change::kRestart,
     .doc = "Register the plugin packages below this directory at start",
     .reason = "A plugin is code: it is registered by name, not found by chance."},
    {.id = Id::kPluginHost,
     .name = "plugin-host",
     .group = Group::kPlugins,
     .type = Type::kPath,
     .initial = Default::Computed(DefaultPluginHost, "mlos-plugin-host beside mlosd"),
     .change = Change::kRestart,
     .doc = "The program that runs a plugin",
     .reason = "Daemon and host speak one version of their protocol and are installed together."},
    {.id = Id::kWorkers,
     .name = "workers",
     .group = Group::kPlugins,
     .type = Type::kInteger,
     .initial = Default::Is("2"),
     .range = {"1", "256"},
     .unit = "threads",
     .change = Change::kRestart,
     .doc = "Threads of each plugin host that run requests",
     .reason = "One runs while the other's answer is written; frameworks bring threads of their "
               "own."},

    {.id = Id::kHttpAddress,
     .name = "http-address",
     .group = Group::kListening,
     .type = Type::kAddresses,
     .initial = Default::Is("127.0.0.1:8080"),
     .change = Change::kRestart,
     .doc = "Listen for HTTP: HOST:PORT, [v6]:PORT, unix:PATH or off; port 0 takes a free one",
     .reason = "The port that clients of the protocol expect, on an address that only this machine "
               "reaches."},
    {.id = Id::kMetricsAddress,
     .name = "metrics-address",
     .group = Group::kListening,
     .type = Type::kAddresses,
     .initial = Default::Is("127.0.0.1:8082"),
     .change = Change::kRestart,
     .doc =
         "Listen for scrapes of /metrics: HOST:PORT, [v6]:PORT, unix:PATH or off; port 0 takes a "
         "free one",
     .reason = "A port of its own, so that it can be opened to a scraper and to nobody else."},

    {.id = Id::kDefaultDeadline,
     .name = "default-deadline",
     .group = Group::kRequests,
     .type = Type::kDuration,
     .initial = Default::Is("30s"),
     .range = {"1ms", "24h"},
     .change = Change::kRestart,
     .doc = "Deadline of a request whose client gives none",
     .reason = "Most clients of the protocol give up by then; an answer that nobody waits for is "
               "work lost."},
    {.id = Id::kMaxDeadline,
     .name = "max-deadline",
     .group = Group::kRequests,
     .type = Type::kDuration,
     .initial = Default::Is("1h"),
     .range = {"1ms", "24h"},
     .change = Change::kRestart,
     .doc = "Longest deadline that a client may ask for; a longer one is shortened to it",
     .reason = "Long enough for a batch, short enough that a forgotten request ends within the "
               "shift."},

    {.id = Id::kDrainGrace,
     .name = "drain-grace",
     .group = Group::kStopping,
     .type = Type::kDuration,
     .initial = Default::Is("0s"),
     .range = {"0s", "10m"},
     .change = Change::kReload,
     .doc = "How long the daemon, told to stop, says that it is not ready while it still takes "
            "requests",
     .reason = "Without a load balancer nobody would notice; with one, set it to the time in which "
               "its checks find out."},
    {.id = Id::kDrainTimeout,
     .name = "drain-timeout",
     .group = Group::kStopping,
     .type = Type::kDuration,
     .initial = Default::Is("20s"),
     .range = {"0s", "1h"},
     .change = Change::kReload,
     .doc = "How long running requests get when the daemon stops; what runs then is ended",
     .reason = "With a second to end the plugin hosts it stays under the 30 s after which "
               "container managers kill."},

    {.id = Id::kHttpMaxConnections,
     .name = "http-max-connections",
     .group = Group::kHttp,
     .type = Type::kInteger,
     .initial = Default::Is("4096"),
     .range = {"1", "1000000"},
     .unit = "connections",
     .change = Change::kRestart,
     .doc = "Connections at once; one more is answered 503 and closed",
     .reason = "Each costs a descriptor and a buffer of 32 KiB: 128 MiB in all."},
    {.id = Id::kHttpMaxHeader,
     .name = "http-max-header",
     .group = Group::kHttp,
     .type = Type::kSize,
     .initial = Default::Is("16KiB"),
     .range = {"1KiB", "16KiB"},
     .change = Change::kRestart,
     .doc = "Largest request line and header fields together",
     .reason = "Clients send a few hundred bytes, tokens and tracing a few thousand; a "
               "connection's buffer is built for 16 KiB."},
    {.id = Id::kHttpMaxBody,
     .name = "http-max-body",
     .group = Group::kHttp,
     .type = Type::kSize,
     .initial = Default::Is("64MiB"),
     .range = {"1KiB", "64GiB"},
     .change = Change::kRestart,
     .doc = "Largest body of an inference request; at most http-max-buffered",
     .reason = "What clients of the protocol are used to; larger tensors are for the "
               "shared-memory channel."},
    {.id = Id::kHttpMaxManagementBody,
     .name = "http-max-management-body",
     .group = Group::kHttp,
     .type = Type::kSize,
     .initial = Default::Is("1MiB"),
     .range = {"1KiB", "64MiB"},
     .change = Change::kRestart,
     .doc = "Largest body of a management request",
     .reason = "A model's configuration is a few kilobytes."},
    {.id = Id::kHttpMaxChunks,
     .name = "http-max-chunks",
     .group = Group::kHttp,
     .type = Type::kInteger,
     .initial = Default::Is("65536"),
     .range = {"1", "16777216"},
     .unit = "chunks",
     .change = Change::kRestart,
     .doc = "Pieces of one chunked body",
     .reason = "A peer that sends single bytes is slow on purpose."},
    {.id = Id::kHttpMaxJsonResponse,
     .name = "http-max-json-response",
     .group = Group::kHttp,
     .type = Type::kSize,
     .initial = Default::Is("256MiB"),
     .range = {"1KiB", "64GiB"},
     .change = Change::kRestart,
     .doc = "Largest JSON answer; beyond it a client is told to ask for binary data",
     .reason = "A number takes up to six times its size in JSON, so this is a large body's echo."},
    {.id = Id::kHttpMaxBuffered,
     .name = "http-max-buffered",
     .group = Group::kHttp,
     .type = Type::kSize,
     .initial = Default::Is("1GiB"),
     .range = {"1MiB", "1TiB"},
     .change = Change::kRestart,
     .doc = "Memory of large bodies and answers, all connections together",
     .reason = "Without it the product of connections and body size would be the limit: 256 GiB."},
    {.id = Id::kHttpIdleTimeout,
     .name = "http-idle-timeout",
     .group = Group::kHttp,
     .type = Type::kDuration,
     .initial = Default::Is("75s"),
     .range = {"1s", "24h"},
     .change = Change::kRestart,
     .doc = "A connection without a request is closed after this",
     .reason = "Longer than the 60 s that load balancers keep theirs, so that they close first."},
    {.id = Id::kHttpHeaderTimeout,
     .name = "http-header-timeout",
     .group = Group::kHttp,
     .type = Type::kDuration,
     .initial = Default::Is("10s"),
     .range = {"100ms", "1h"},
     .change = Change::kRestart,
     .doc = "From a request's first byte to the end of its header",
     .reason = "A header is one or two packets; who takes longer holds a connection for nothing."},
    {.id = Id::kHttpTransferTimeout,
     .name = "http-transfer-timeout",
     .group = Group::kHttp,
     .type = Type::kDuration,
     .initial = Default::Is("30s"),
     .range = {"100ms", "1h"},
     .change = Change::kRestart,
     .doc = "For sending a body, and for taking an answer; on top comes the time that the bytes "
            "take at http-min-rate",
     .reason = "Covers the pauses of a poor network."},
    {.id = Id::kHttpMinRate,
     .name = "http-min-rate",
     .group = Group::kHttp,
     .type = Type::kSize,
     .initial = Default::Is("128KiB"),
     .range = {"1B", "1GiB"},
     .change = Change::kRestart,
     .doc = "Bytes per second that a client has to manage in the long run",
     .reason = "Slower than any link that serves models, faster than an attack by slowness."},
    {.id = Id::kHttpLinger,
     .name = "http-linger",
     .group = Group::kHttp,
     .type = Type::kDuration,
     .initial = Default::Is("1s"),
     .range = {"0s", "1m"},
     .change = Change::kRestart,
     .doc = "How long what a refused client still sends is read and thrown away",
     .reason = "Closed at once, it would lose the refusal that is on its way to it."},
};

constexpr bool TableIsComplete() {
  size_t index = 0;
  for (const Row& row : kTable) {
    if (!IsComplete(row) || row.id != static_cast<Id>(index++)) return false;
    for (const Row& other : kTable) {
      if (&other != &row && other.name == row.name) return false;
    }
  }
  return index == static_cast<size_t>(Id::kCount);
}
static_assert(TableIsComplete(),
              "a row lacks a column, has a default outside its range, or stands in another place "
              "than its Id");

constexpr const Row& RowOf(Id id) { return kTable[static_cast<size_t>(id)]; }

inline std::span<const Row> Table() { return kTable; }

// Defaults for the structures that carry limits into a room: written here only.
constexpr uint64_t DefaultNumber(Id id) {
  return *ParseNumber(RowOf(id).type, RowOf(id).initial.text);
}
constexpr uint64_t DefaultNanos(Id id) { return DefaultNumber(id) * kNanosPerMilli; }

}  // namespace mlos::options
