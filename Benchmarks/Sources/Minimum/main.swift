import Dispatch
import FoundationEssentials
import MinimumLibraries

// The least that a follower can be: Swift's runtime with one task, libcurl and libgit2, started and idle.

let names = CommandLine.arguments.dropFirst()
await Task { _ = Date() }.value
minimum_start(names.contains("curl") ? 1 : 0, names.contains("git") ? 1 : 0)
minimum_wait()
